import { type Backend, ok } from "../ipc/backend";
import type { Decision } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** The signed decisions of one network: who admitted whom, who was removed, and what does not count. */
export class Governance {
  decisions = $state.raw(new Remote<Decision[]>([], () => Promise.resolve([])));
  #backend: Backend;
  #network: string | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Reads the decisions of a network; what is shown of another is dropped at once. */
  look(network: string): void {
    if (network !== this.#network) {
      this.#network = network;
      this.decisions = new Remote<Decision[]>([], () => ok(this.#backend.commands.decisionList(network)));
    }
    void this.decisions.refresh();
  }

  /** Reads them again if anybody has looked. */
  changed(): void {
    if (this.#network !== undefined) void this.decisions.refresh();
  }

  /** The decision that made a device a member: the newest that counts. */
  admission(device: string): Decision | undefined {
    return this.decisions.value.find(
      (one) => one.kind === "admitted" && one.counts && one.subject_id === device,
    );
  }

  /** Removals that not every member has confirmed yet, and those made after `since`. */
  removals(since: number): Decision[] {
    return this.decisions.value.filter(
      (one) => one.kind === "removed" && one.counts && (one.waiting.length > 0 || one.at >= since),
    );
  }

  /** Devices that signed two different things with one number. */
  get warnings(): Decision[] {
    return this.decisions.value.filter((one) => one.kind === "equivocated");
  }
}
