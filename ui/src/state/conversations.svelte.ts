import { type Backend, ok, orNone } from "../ipc/backend";
import type { ConversationSummary } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

export type Age = "today" | "yesterday" | "week" | "month" | "older";

const DAY = 86_400_000;

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

/** The conversations of the active network, searched by the daemon. */
export class Conversations {
  readonly list: Remote<ConversationSummary[]>;
  search = $state("");
  /** Deleted in this window and still shown, so that it can be undone in its place. */
  #deleted = $state.raw<ConversationSummary[]>([]);
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<ConversationSummary[]>([], () =>
      orNone(backend.commands.conversationList(this.search.trim() || null), "no_network", []),
    );
  }

  /** Rows by age, newest first; parts without rows are left out. */
  parts(now: number): { age: Age; rows: Row[] }[] {
    const gone = new Set(this.#deleted.map((one) => one.id));
    const rows = [
      ...this.list.value.filter((one) => !gone.has(one.id)).map((summary) => ({ summary, deleted: false })),
      ...this.#deleted.map((summary) => ({ summary, deleted: true })),
    ].sort((a, b) => b.summary.updated_at - a.summary.updated_at);
    const parts: { age: Age; rows: Row[] }[] = [];
    for (const row of rows) {
      const of = age(row.summary.updated_at, now);
      const last = parts.at(-1);
      if (last?.age === of) last.rows.push(row);
      else parts.push({ age: of, rows: [row] });
    }
    return parts;
  }

  find(id: string | undefined): ConversationSummary | undefined {
    return this.list.value.find((one) => one.id === id);
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
