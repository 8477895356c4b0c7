import { type Backend, ok } from "../ipc/backend";
import type { MemberScope, MemberScopes } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

export const SCOPES: MemberScope[] = ["chat", "files", "transcribe", "conversations", "models"];

/** What one member may do on this device: the member that somebody looks at. */
export class Scopes {
  of = $state.raw(new Remote<MemberScopes | undefined>(undefined, () => Promise.resolve(undefined)));
  #backend: Backend;
  #device: string | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Reads what a member may do; what is shown of another is dropped at once. */
  look(device: string): void {
    if (device !== this.#device) {
      this.#device = device;
      this.of = new Remote<MemberScopes | undefined>(undefined, () =>
        ok(this.#backend.commands.scopeShow(device)),
      );
    }
    void this.of.refresh();
  }

  /** Reads it again if anybody has looked. */
  changed(): void {
    if (this.#device !== undefined) void this.of.refresh();
  }

  async set(device: string, scope: MemberScope, on: boolean): Promise<void> {
    const now = await ok(this.#backend.commands.scopeSet(device, scope, on));
    if (this.#device === device) this.of.value = now;
  }

  /** Forgets the member: it belongs to another network. */
  reset(): void {
    this.#device = undefined;
  }
}
