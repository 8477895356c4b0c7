import { type Backend, ok, orNone } from "../ipc/backend";
import type { DenyKind, Knock, Role } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** How a knock ended: `approved`, `denied`, `expired` or `withdrawn`, and on which device it was decided. */
export interface KnockEnd {
  outcome: string;
  by: string | null;
}

/** Devices that knock here. A new knock opens its card; a card put aside stays in the list until it is decided. */
export class Knocks {
  readonly list: Remote<Knock[]>;
  /** Knock whose card is open. */
  open = $state.raw<Knock>();
  /** How knocks ended that were not decided here. */
  #ends = $state.raw<ReadonlyMap<string, KnockEnd>>(new Map());
  #backend: Backend;
  #aside = new Set<string>();

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<Knock[]>([], () => orNone(backend.commands.knockList(), "no_network", []));
  }

  get count(): number {
    return this.list.value.length;
  }

  /** Reads the list and opens the card of the first knock nobody has looked at. */
  refresh = async (): Promise<void> => {
    await this.list.refresh();
    this.#openNext();
  };

  add(knock: Knock): void {
    this.list.value = [...this.list.value.filter((one) => one.id !== knock.id), knock];
    this.#openNext();
  }

  /** Takes a knock off the list, and keeps how it ended for the card that is open. */
  end(id: string, how?: KnockEnd): void {
    this.list.value = this.list.value.filter((knock) => knock.id !== id);
    if (how) this.#ends = new Map([...this.#ends, [id, how] as const].slice(-20));
  }

  /** How a knock ended, where it was told. */
  endOf(id: string): KnockEnd | undefined {
    return this.#ends.get(id);
  }

  show(knock: Knock): void {
    this.open = knock;
  }

  /** Opens the card of a knock, also of one that was put aside, if it still waits. */
  showById(id: string): void {
    const knock = this.list.value.find((one) => one.id === id);
    if (knock) this.show(knock);
  }

  /** Closes the card without deciding. */
  close(): void {
    if (this.open) this.#aside.add(this.open.id);
    this.open = undefined;
    this.#openNext();
  }

  /** Admits the device. The code goes along, so that only what was compared is admitted. */
  async approve(knock: Knock, role: Role): Promise<void> {
    await ok(this.#backend.commands.knockApprove(knock.id, role, knock.code));
    this.end(knock.id);
  }

  async deny(knock: Knock, kind: DenyKind): Promise<void> {
    await ok(this.#backend.commands.knockDeny(knock.id, kind, null));
    this.end(knock.id);
  }

  /** Whether the knock still waits for a decision. */
  waits(id: string): boolean {
    return this.list.value.some((knock) => knock.id === id);
  }

  #openNext(): void {
    if (this.open) return;
    this.open = this.list.value.find((knock) => !this.#aside.has(knock.id));
  }
}
