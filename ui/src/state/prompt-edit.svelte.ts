import type { Prompt, PromptDraft, PromptVariable } from "../ipc/bindings";
import { variablesIn } from "./variables";

/** Most bytes of what the model is told; the daemon refuses more. */
export const MOST_BYTES = 64 * 1024;

interface Given {
  label: string;
  default: string;
}

/** A prompt while a person writes it. It outlives its page, so that looking elsewhere loses nothing. */
export class PromptEdit {
  label = $state("");
  body = $state("");
  userText = $state("");
  tools = $state.raw<string[]>([]);
  /** The prompt as it was when the writing began; undefined for a new one. */
  base = $state.raw<Prompt>();
  /** What was said of variables, also of those that stand in no text at the moment. */
  #given = $state.raw<Record<string, Given>>({});
  #start = "";

  constructor(prompt?: Prompt) {
    this.restart(prompt);
  }

  /** Begins anew from `prompt`. */
  restart(prompt?: Prompt): void {
    this.base = prompt;
    this.label = prompt?.label ?? "";
    this.body = prompt?.body ?? "";
    this.userText = prompt?.user_text ?? "";
    this.tools = prompt?.suggested_tools ?? [];
    const given = prompt?.variables.map(
      ({ name, label, default: value }) => [name, { label: label ?? "", default: value ?? "" }] as const,
    );
    this.#given = Object.fromEntries(given ?? []);
    this.#start = JSON.stringify(this.draft());
  }

  /** The variables of the texts, in their order. */
  get variables(): ({ name: string } & Given)[] {
    return variablesIn(this.body, this.userText).map((name) => ({
      name,
      ...(this.#given[name] ?? { label: "", default: "" }),
    }));
  }

  describe(name: string, what: Partial<Given>): void {
    const before = this.#given[name] ?? { label: "", default: "" };
    this.#given = { ...this.#given, [name]: { ...before, ...what } };
  }

  toggleTool(tool: string): void {
    this.tools = this.tools.includes(tool) ? this.tools.filter((one) => one !== tool) : [...this.tools, tool];
  }

  get dirty(): boolean {
    return JSON.stringify(this.draft()) !== this.#start;
  }

  /** Whether the prompt was changed elsewhere since the writing began. */
  overtaken(now: Prompt | undefined): boolean {
    return this.base !== undefined && now !== undefined && now.updated_at !== this.base.updated_at;
  }

  get bytes(): number {
    return new TextEncoder().encode(this.body).length;
  }

  get complete(): boolean {
    return this.label.trim() !== "" && this.body.trim() !== "" && this.bytes <= MOST_BYTES;
  }

  draft(): PromptDraft {
    const variables = this.variables.map((one): PromptVariable => ({
      name: one.name,
      label: one.label.trim() || null,
      default: one.default || null,
    }));
    return {
      id: this.base?.id ?? null,
      label: this.label.trim(),
      body: this.body,
      variables,
      suggested_tools: this.tools,
      user_text: this.userText,
    };
  }
}
