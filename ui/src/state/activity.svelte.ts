import { type Backend, ok, type Stop } from "../ipc/backend";
import type { ActivityEntry, ActivityKind } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

export const KINDS: ActivityKind[] = [
  "knock",
  "member",
  "network",
  "invite",
  "connection",
  "lending",
  "security",
];

const PAGE = 100;
/** An export stops here, so that a journal of years does not fill the memory. */
const MOST = 20_000;

export interface Day {
  /** Midnight at its start, by the calendar of this place. */
  start: number;
  entries: ActivityEntry[];
}

export interface Page {
  entries: ActivityEntry[];
  /** Whether older ones exist. */
  more: boolean;
}

/** Entries by calendar day, in their order. */
export function days(entries: ActivityEntry[]): Day[] {
  const found: Day[] = [];
  for (const entry of entries) {
    const start = new Date(entry.at).setHours(0, 0, 0, 0);
    const last = found.at(-1);
    if (last?.start === start) last.entries.push(entry);
    else found.push({ start, entries: [entry] });
  }
  return found;
}

/** What happened in one network, newest first, as the filters allow. */
export class Activity {
  readonly list: Remote<Page>;
  kinds = $state.raw<ActivityKind[]>([]);
  device = $state<string | null>(null);
  search = $state("");
  #backend: Backend;
  #network: string | undefined;
  #wanted = PAGE;
  #watchers = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<Page>({ entries: [], more: false }, () => this.#read(this.#wanted));
  }

  /** Whether anything is filtered out. */
  get filtered(): boolean {
    return this.kinds.length > 0 || this.device !== null || this.search.trim() !== "";
  }

  /** Reads the activities of a network, and follows them until stopped. */
  watch(network: string): Stop {
    if (network !== this.#network) {
      this.#network = network;
      this.list.value = { entries: [], more: false };
      this.list.loaded = false;
      this.clear();
    }
    this.#wanted = PAGE;
    this.#watchers++;
    void this.list.refresh();
    return () => void this.#watchers--;
  }

  /** Something was added: it shows at once where somebody looks. */
  changed(): void {
    if (this.#watchers > 0) void this.list.refresh();
  }

  filter(to: Partial<Pick<Activity, "kinds" | "device" | "search">>): void {
    Object.assign(this, to);
    this.#wanted = PAGE;
    void this.list.refresh();
  }

  toggle(kind: ActivityKind): void {
    this.filter({
      kinds: this.kinds.includes(kind) ? this.kinds.filter((one) => one !== kind) : [...this.kinds, kind],
    });
  }

  clear(): void {
    this.kinds = [];
    this.device = null;
    this.search = "";
  }

  more(): Promise<void> {
    this.#wanted += PAGE;
    return this.list.refresh();
  }

  /** Everything that the filters allow, for a file. */
  async all(): Promise<ActivityEntry[]> {
    return (await this.#read(MOST)).entries;
  }

  async #read(wanted: number): Promise<Page> {
    const network = this.#network;
    const filter = { kinds: this.kinds, device: this.device, search: this.search.trim() || null };
    const entries: ActivityEntry[] = [];
    let before: number | null = null;
    for (;;) {
      const limit = Math.min(1000, Math.max(PAGE, wanted));
      const page: ActivityEntry[] = await ok(
        this.#backend.commands.activityList({ ...filter, since: null, before, limit }),
      );
      // The journal holds all networks of this device; entries of none concern them all.
      entries.push(...page.filter((one) => one.network_id === null || one.network_id === network));
      before = page.at(-1)?.id ?? null;
      if (page.length < limit || before === null) return { entries, more: false };
      if (entries.length >= wanted) return { entries, more: true };
    }
  }
}
