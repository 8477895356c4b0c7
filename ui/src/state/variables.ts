/** What stands between double braces in a prompt, and what is put in its place. */
import type { Prompt } from "../ipc/bindings";

/** A prompt as it goes with the questions of a conversation, its variables filled in. */
export interface UsedPrompt {
  id: string;
  label: string;
  /** What the model is told. */
  system: string;
}

/** Names between double braces, in the order in which they first stand there. */
export function variablesIn(...texts: string[]): string[] {
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\{\{(\w{1,64})\}\}/g)].map((found) => found[1] ?? ""),
  );
  return [...new Set(names)];
}

/** The text with its variables filled in. A value is never filled in again, and an unknown name stays as it is. */
export function filled(text: string, values: Record<string, string>): string {
  return text.replace(/\{\{([^{}]+)\}\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? "") : whole,
  );
}

/** What the form for a prompt starts with. */
export const defaults = (prompt: Prompt): Record<string, string> =>
  Object.fromEntries(prompt.variables.map((variable) => [variable.name, variable.default ?? ""]));

/** The prompt as it is used with these values. */
export const used = (prompt: Prompt, values: Record<string, string>): UsedPrompt => ({
  id: prompt.id,
  label: prompt.label,
  system: filled(prompt.body, values),
});
