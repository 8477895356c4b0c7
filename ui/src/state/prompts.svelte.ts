import { type Backend, ok, orNone } from "../ipc/backend";
import type { Prompt, PromptExport, PromptFormat, PromptImport, PromptVersion } from "../ipc/bindings";
import { PromptEdit } from "./prompt-edit.svelte";
import { Remote } from "./remote.svelte";

/** One row of the list: a prompt, or the place of one just deleted. */
export interface PromptRow {
  prompt: Prompt;
  deleted: boolean;
}

/** Stands for a prompt that does not exist yet; no id can be this. */
export const NEW = "+";

/** Whether label or text contain what is looked for. */
export function fits(prompt: Prompt, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  return `${prompt.label}\n${prompt.body}`.toLowerCase().includes(wanted);
}

/** The prompts of the active network, in their order. */
export class Prompts {
  readonly list: Remote<Prompt[]>;
  search = $state("");
  /** What the prompt that somebody looks at said before. */
  history = $state.raw(new Remote<PromptVersion[]>([], () => Promise.resolve([])));
  /** Deleted in this window and still shown, so that it can be undone in its place. */
  #deleted = $state.raw<Prompt[]>([]);
  #edits = new Map<string, PromptEdit>();
  #looked: string | undefined;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<Prompt[]>([], () => orNone(backend.commands.promptList(null), "no_network", []));
  }

  find(id: string | undefined): Prompt | undefined {
    return this.list.value.find((prompt) => prompt.id === id);
  }

  /** The rows that fit the search; deleted ones where they were. */
  get rows(): PromptRow[] {
    const rows = this.list.value.map((prompt) => ({ prompt, deleted: false }));
    for (const prompt of this.#deleted) {
      if (this.find(prompt.id)) continue;
      const at = rows.findIndex((row) => (row.prompt.order ?? 0) > (prompt.order ?? 0));
      rows.splice(at < 0 ? rows.length : at, 0, { prompt, deleted: true });
    }
    return rows.filter((row) => fits(row.prompt, this.search));
  }

  /** What a person writes of a prompt, or of a new one; kept until it is saved or dropped. */
  edit(id: string): PromptEdit {
    const known = this.#edits.get(id);
    if (known) return known;
    const begun = new PromptEdit(this.find(id));
    this.#edits.set(id, begun);
    return begun;
  }

  /** Whether something unsaved is kept of a prompt. */
  unsaved(id: string): boolean {
    return this.#edits.get(id)?.dirty ?? false;
  }

  drop(id: string): void {
    this.#edits.delete(id);
  }

  async save(edit: PromptEdit): Promise<Prompt> {
    const saved = await ok(this.#backend.commands.promptSet(edit.draft()));
    this.drop(edit.base?.id ?? NEW);
    await this.list.refresh();
    return saved;
  }

  async duplicate(id: string): Promise<Prompt> {
    const copy = await ok(this.#backend.commands.promptDuplicate(id));
    await this.list.refresh();
    return copy;
  }

  /** Moves a prompt in front of another, or to the end. It shows at once; the daemon's order then takes its place. */
  async move(id: string, before: string | null): Promise<void> {
    const moved = this.find(id);
    if (!moved || id === before) return;
    const rest = this.list.value.filter((one) => one.id !== id);
    const at = rest.findIndex((one) => one.id === before);
    rest.splice(at < 0 ? rest.length : at, 0, moved);
    this.list.value = rest;
    try {
      await ok(this.#backend.commands.promptMove(id, before));
    } finally {
      await this.list.refresh();
    }
  }

  /** Moves a prompt one place up or down. */
  async step(id: string, by: -1 | 1): Promise<void> {
    const prompts = this.list.value;
    const at = prompts.findIndex((one) => one.id === id);
    if (at + by < 0 || at + by >= prompts.length) return;
    await this.move(id, prompts[by < 0 ? at - 1 : at + 2]?.id ?? null);
  }

  async delete(prompt: Prompt): Promise<void> {
    await ok(this.#backend.commands.promptDelete(prompt.id));
    this.#deleted = [...this.#deleted.filter((one) => one.id !== prompt.id), prompt];
    this.drop(prompt.id);
    await this.list.refresh();
  }

  /** Brings a version back; the newest with text when none is named. */
  async restore(id: string, version: string | null = null): Promise<void> {
    await ok(this.#backend.commands.promptRestore(id, version));
    this.settle(id);
    // A version that somebody chose takes the place of what was being written; an undo does not.
    if (version !== null) this.drop(id);
    await this.list.refresh();
    this.#again();
  }

  /** Stops offering the undo. */
  settle(id: string): void {
    this.#deleted = this.#deleted.filter((one) => one.id !== id);
  }

  /** Reads what a prompt said; what is shown of another is dropped at once. */
  look(id: string): void {
    if (id !== this.#looked) {
      this.#looked = id;
      this.history = new Remote<PromptVersion[]>([], () => ok(this.#backend.commands.promptHistory(id)));
    }
    void this.history.refresh();
  }

  async import(text: string, format: PromptFormat): Promise<PromptImport> {
    const done = await ok(this.#backend.commands.promptImport(text, format));
    await this.list.refresh();
    return done;
  }

  /** The prompts as the text of a file; all of them when `ids` is empty. */
  export(ids: string[], format: PromptFormat): Promise<PromptExport> {
    return ok(this.#backend.commands.promptExport(ids, format));
  }

  /** Prompts changed, here or elsewhere. */
  changed(): void {
    void this.list.refresh();
    this.#again();
  }

  /** Forgets what belongs to another network. */
  reset(): void {
    this.search = "";
    this.#deleted = [];
    this.#edits.clear();
    this.#looked = undefined;
    this.list.value = [];
    this.list.loaded = false;
  }

  #again(): void {
    if (this.#looked !== undefined) void this.history.refresh();
  }
}
