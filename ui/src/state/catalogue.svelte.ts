import { type Backend, ok, orNone } from "../ipc/backend";
import type { Catalogue as Told, ShownConversation } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** The conversations that members show: titles, never content. */
export class Catalogue {
  readonly told: Remote<Told>;
  /** Devices whose conversations are unfolded. */
  #open = $state.raw<ReadonlySet<string>>(new Set());
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    const none: Told = { showing: false, conversations: [] };
    this.told = new Remote<Told>(none, () => orNone(backend.commands.catalogue(), "no_network", none));
  }

  /** Whether this device shows the titles of its conversations to the active network. */
  get showing(): boolean {
    return this.told.value.showing;
  }

  /** What a device shows, newest first. */
  of(device: string): ShownConversation[] {
    return this.told.value.conversations.filter((one) => one.device_id === device);
  }

  unfolded(device: string): boolean {
    return this.#open.has(device);
  }

  fold(device: string): void {
    const open = new Set(this.#open);
    if (!open.delete(device)) open.add(device);
    this.#open = open;
  }

  async show(on: boolean): Promise<void> {
    this.told.value = await ok(this.#backend.commands.catalogueShow(on));
  }
}
