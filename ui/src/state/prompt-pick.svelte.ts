import type { Prompt } from "../ipc/bindings";
import type { Chat } from "./chat.svelte";
import type { Prompts } from "./prompts.svelte";
import { defaults, filled, used } from "./variables";

/** Choosing a prompt in the composer: by "/" at its start, or by the button beside it. */
export class PromptPick {
  /** Place of the row that Enter takes. */
  index = $state(0);
  /** Prompt whose variables are asked for. */
  asking = $state.raw<Prompt>();
  /** Opened by the button: what is in the composer is then a message, not a search. */
  #asked = $state(false);
  /** Closed by Escape until the composer no longer starts with "/". */
  #dismissed = $state(false);
  #prompts: Prompts;
  #chat: Chat;

  constructor(prompts: Prompts, chat: Chat) {
    this.#prompts = prompts;
    this.#chat = chat;
  }

  /** What is looked for; undefined where the composer holds a message. */
  get query(): string | undefined {
    if (this.#asked) return "";
    const { draft } = this.#chat;
    if (!draft.startsWith("/") || draft.includes("\n") || this.#dismissed) return undefined;
    return draft.slice(1);
  }

  /** Prompts that fit by their name, those that begin with it first. */
  get matches(): Prompt[] {
    const wanted = this.query?.trim().toLowerCase();
    if (wanted === undefined) return [];
    const begins = (prompt: Prompt): boolean => prompt.label.toLowerCase().startsWith(wanted);
    return this.#prompts.list.value
      .filter((prompt) => `${prompt.label} ${prompt.id}`.toLowerCase().includes(wanted))
      .sort((a, b) => Number(begins(b)) - Number(begins(a)));
  }

  /** Whether the list shows. A text that fits no prompt is a message that begins with "/". */
  get open(): boolean {
    return this.query === "" || this.matches.length > 0;
  }

  get active(): Prompt | undefined {
    return this.matches[Math.min(this.index, this.matches.length - 1)];
  }

  /** Opens the list, and leaves what was written alone. */
  begin(): void {
    this.index = 0;
    this.#dismissed = false;
    if (this.#chat.draft === "") this.#chat.draft = "/";
    else this.#asked = !this.#asked;
  }

  /** Something was typed. */
  typed(): void {
    this.index = 0;
    this.#asked = false;
    if (!this.#chat.draft.startsWith("/")) this.#dismissed = false;
  }

  /** Takes a key of the open list; false for one that is not its own. */
  key(key: string): boolean {
    if (!this.open) return false;
    const { length } = this.matches;
    if (key === "Escape") this.close();
    else if (length === 0) return false;
    else if (key === "ArrowDown") this.index = (this.index + 1) % length;
    else if (key === "ArrowUp") this.index = (this.index + length - 1) % length;
    else if ((key === "Enter" || key === "Tab") && this.active) this.pick(this.active);
    else return false;
    return true;
  }

  close(): void {
    this.#dismissed = !this.#asked;
    this.#asked = false;
  }

  /** Takes a prompt; one with variables asks for them first. */
  pick(prompt: Prompt): void {
    if (prompt.variables.length > 0) this.asking = prompt;
    else this.use(prompt, defaults(prompt));
  }

  /** From now on the prompt goes with the questions of this conversation. */
  use(prompt: Prompt, values: Record<string, string>): void {
    this.#chat.prompt = used(prompt, values);
    const searched = this.#chat.draft.startsWith("/") && !this.#asked;
    if (searched || this.#chat.draft.trim() === "") this.#chat.draft = filled(prompt.user_text ?? "", values);
    this.asking = undefined;
    this.#asked = false;
    this.#dismissed = false;
  }
}
