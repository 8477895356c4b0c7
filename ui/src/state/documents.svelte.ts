import type { Backend } from "../ipc/backend";
import type { EventItem } from "../ipc/bindings";
import { Capabilities } from "./capabilities.svelte";
import { Catalogue } from "./catalogue.svelte";
import { Permissions } from "./permissions.svelte";
import { Prompts } from "./prompts.svelte";
import { Scopes } from "./scopes.svelte";
import { Sync } from "./sync.svelte";

/** What the devices of the active network keep in step, and the events that concern it. */
export class Documents {
  readonly prompts: Prompts;
  readonly permissions: Permissions;
  readonly scopes: Scopes;
  readonly sync: Sync;
  readonly capabilities: Capabilities;
  readonly catalogue: Catalogue;

  constructor(backend: Backend) {
    this.prompts = new Prompts(backend);
    this.permissions = new Permissions(backend);
    this.scopes = new Scopes(backend);
    this.sync = new Sync(backend);
    this.capabilities = new Capabilities(backend);
    this.catalogue = new Catalogue(backend);
  }

  /** Reads everything again. */
  async refresh(): Promise<void> {
    this.scopes.changed();
    await Promise.all([
      this.prompts.list.refresh(),
      this.permissions.refresh(),
      this.sync.status.refresh(),
      this.capabilities.list.refresh(),
      this.catalogue.told.refresh(),
    ]);
  }

  /** Another network became active: nothing of the one before may be shown in it. */
  switched(): void {
    this.prompts.reset();
    this.scopes.reset();
    void this.refresh();
  }

  happened(item: EventItem): void {
    switch (item.event) {
      case "prompts_changed":
        this.prompts.changed();
        break;
      case "permissions_changed":
      case "proposal":
        void this.permissions.refresh();
        this.scopes.changed();
        break;
      case "capabilities_changed":
        void this.capabilities.list.refresh();
        break;
      case "catalogue_changed":
        void this.catalogue.told.refresh();
        break;
      case "sync_changed":
        void this.sync.status.refresh();
        break;
    }
  }
}
