import { type Backend, ok, orNone } from "../ipc/backend";
import type { ConversationSummary } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

export type Age = "today" | "yesterday" | "week" | "month" | "older";

const DAY = 86_400_000;
const FOLDED = "myownllm.folded";

/** The part of the list that a moment belongs to, by the calendar days of this place. */
export function age(at: number, now: number): Age {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (at >= midnight) return "today";
  if (at >= midnight - DAY) return "yesterday";
  if (at >= midnight - 7 * DAY) return "week";
  return at >= midnight - 30 * DAY ? "month" : "older";
}

/** One row of the list: a conversation, or the place of one just deleted. */
export interface Row {
  summary: ConversationSummary;
  deleted: boolean;
}

/** Rows under one heading: a folder, or an age for those in no folder. */
export type Part = { rows: Row[] } & ({ folder: string } | { folder: null; age: Age });

/** The folders that somebody folded up, as this window was last left. */
function foldedBefore(): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(FOLDED) ?? "[]") as string[]);
  } catch {
    return new Set();
  }
}

/** The conversations of the active network, searched by the daemon. */
export class Conversations {
  readonly list: Remote<ConversationSummary[]>;
  search = $state("");
  /** Picked to be moved together. */
  selected = $state.raw<ReadonlySet<string>>(new Set());
  /** Those that a folder is being chosen for. */
  moving = $state.raw<ConversationSummary[]>();
  #folded = $state.raw(foldedBefore());
  /** Deleted in this window and still shown, so that it can be undone in its place. */
  #deleted = $state.raw<ConversationSummary[]>([]);
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<ConversationSummary[]>([], () =>
      orNone(backend.commands.conversationList(this.search.trim() || null), "no_network", []),
    );
  }

  /** Rows by folder, then by age, newest first; parts without rows are left out. */
  parts(now: number): Part[] {
    const gone = new Set(this.#deleted.map((one) => one.id));
    const rows = [
      ...this.list.value.filter((one) => !gone.has(one.id)).map((summary) => ({ summary, deleted: false })),
      ...this.#deleted.map((summary) => ({ summary, deleted: true })),
    ].sort((a, b) => b.summary.updated_at - a.summary.updated_at);
    const folders = new Map<string, Row[]>();
    const ages = new Map<Age, Row[]>();
    for (const row of rows) {
      const { folder, updated_at } = row.summary;
      if (folder === null) ages.set(age(updated_at, now), [...(ages.get(age(updated_at, now)) ?? []), row]);
      else folders.set(folder, [...(folders.get(folder) ?? []), row]);
    }
    return [
      ...[...folders].sort(([a], [b]) => a.localeCompare(b)).map(([folder, rows]) => ({ folder, rows })),
      ...[...ages].map(([age, rows]) => ({ folder: null, age, rows })),
    ];
  }

  folded(folder: string): boolean {
    // What was searched for must not hide in a folder.
    return this.search.trim() === "" && this.#folded.has(folder);
  }

  fold(folder: string): void {
    const folded = new Set(this.#folded);
    if (!folded.delete(folder)) folded.add(folder);
    this.#folded = folded;
    localStorage.setItem(FOLDED, JSON.stringify([...folded]));
  }

  select(id: string): void {
    const selected = new Set(this.selected);
    if (!selected.delete(id)) selected.add(id);
    this.selected = selected;
  }

  deselect(): void {
    this.selected = new Set();
  }

  /** Begins to choose a folder for a conversation, and for those picked where it is one of them. */
  beginMove(summary: ConversationSummary | undefined): void {
    const together = summary === undefined || this.selected.has(summary.id);
    this.moving = together
      ? this.list.value.filter((one) => this.selected.has(one.id))
      : summary && [summary];
  }

  /** Names of all folders, whatever is searched for. */
  async folders(): Promise<string[]> {
    const all = await ok(this.#backend.commands.conversationList(null));
    const names = new Set(all.flatMap((one) => (one.folder === null ? [] : [one.folder])));
    return [...names].sort((a, b) => a.localeCompare(b));
  }

  /** Puts conversations into a folder, or out of all. */
  async move(ids: string[], folder: string | null): Promise<void> {
    await ok(this.#backend.commands.conversationMove(ids, folder));
    this.deselect();
    await this.list.refresh();
  }

  /** Keeps a conversation out of what this device shows its network, or lets it in again. */
  async keepPrivate(id: string, on: boolean): Promise<void> {
    await ok(this.#backend.commands.conversationPrivate(id, on));
    await this.list.refresh();
  }

  find(id: string | undefined): ConversationSummary | undefined {
    return this.list.value.find((one) => one.id === id);
  }

  /** Forgets what belongs to another network. */
  reset(): void {
    this.deselect();
    this.moving = undefined;
    this.#deleted = [];
    this.setSearch("");
  }

  setSearch(text: string): void {
    this.search = text;
    void this.list.refresh();
  }

  async rename(id: string, title: string): Promise<void> {
    if (title.trim() === "") return;
    await ok(this.#backend.commands.conversationRename(id, title.trim()));
    await this.list.refresh();
  }

  async delete(summary: ConversationSummary): Promise<void> {
    await ok(this.#backend.commands.conversationDelete(summary.id));
    this.#deleted = [...this.#deleted, summary];
    await this.list.refresh();
  }

  async restore(id: string): Promise<void> {
    await ok(this.#backend.commands.conversationRestore(id));
    this.settle(id);
    await this.list.refresh();
  }

  /** Stops offering the undo. */
  settle(id: string): void {
    this.#deleted = this.#deleted.filter((one) => one.id !== id);
  }
}
