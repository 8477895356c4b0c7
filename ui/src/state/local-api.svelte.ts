import { type Backend, ok } from "../ipc/backend";
import type { ApiKey, ApiRequest, KeyScope, LocalApi as Told, NewApiKey } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

export const KEY_SCOPES: KeyScope[] = ["chat", "embeddings", "models"];

/** How other programs of this device reach its models, with which keys, and what they ask for now. */
export class LocalApi {
  readonly told: Remote<Told | undefined>;
  readonly keys: Remote<ApiKey[]>;
  readonly requests: Remote<ApiRequest[]>;
  #backend: Backend;
  /** Whether anybody has looked. */
  #looked = false;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.told = new Remote<Told | undefined>(undefined, () => ok(backend.commands.localApi()));
    this.keys = new Remote<ApiKey[]>([], () => ok(backend.commands.keyList()));
    this.requests = new Remote<ApiRequest[]>([], () => ok(backend.commands.apiRequestList()));
  }

  look(): void {
    this.#looked = true;
    void this.told.refresh();
    void this.keys.refresh();
    void this.requests.refresh();
  }

  /** A request came, went on or ended; it may have used a key. */
  changed(): void {
    if (!this.#looked) return;
    void this.requests.refresh();
    void this.keys.refresh();
  }

  /** Makes a key. Its secret is told this once. */
  async create(name: string, scopes: KeyScope[]): Promise<NewApiKey> {
    const all = KEY_SCOPES.every((scope) => scopes.includes(scope));
    const key = await ok(this.#backend.commands.keyCreate(name.trim(), all ? null : scopes));
    await this.keys.refresh();
    return key;
  }

  async revoke(name: string): Promise<void> {
    await ok(this.#backend.commands.keyRevoke(name));
    await this.keys.refresh();
  }
}
