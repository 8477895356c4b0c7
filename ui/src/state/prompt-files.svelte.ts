import { n, t } from "../i18n";
import { bytes } from "../i18n/format";
import type { Backend } from "../ipc/backend";
import { Failure } from "../ipc/backend";
import type { PromptFormat } from "../ipc/bindings";
import type { Prompts } from "./prompts.svelte";
import { Task } from "./task.svelte";

/** Larger files are refused here: one request to the daemon could not carry them. */
const MOST_BYTES = 20_000_000;

/** How a file's name or its first character says that it is written. */
export function formatOf(name: string, text: string): PromptFormat {
  if (/\.json$/i.test(name)) return "json";
  return /\.(md|markdown)$/i.test(name) || !/^\s*[{[]/.test(text) ? "markdown" : "json";
}

/** Prompts on their way into and out of files. */
export class PromptFiles {
  readonly task = new Task();
  /** What came of the last import or export, as a sentence. */
  outcome = $state("");
  #backend: Backend;
  #prompts: Prompts;

  constructor(backend: Backend, prompts: Prompts) {
    this.#backend = backend;
    this.#prompts = prompts;
  }

  /** Takes prompts from a file; the daemon takes all of them or none. */
  import(file: File): Promise<boolean> {
    this.outcome = "";
    return this.task.run(async () => {
      if (file.size > MOST_BYTES)
        throw new Failure(
          "too_large",
          t("prompts.fileTooLarge", { file: file.name, size: bytes(file.size) }),
        );
      const text = await read(file);
      const { added, changed, unchanged } = await this.#prompts.import(text, formatOf(file.name, text));
      const parts = [
        ...(added.length > 0 ? [n("prompts.added", added.length)] : []),
        ...(changed.length > 0 ? [n("prompts.changed", changed.length)] : []),
        ...(unchanged > 0 ? [n("prompts.unchanged", unchanged)] : []),
      ];
      this.outcome = parts.length > 0 ? parts.join(" ") : t("prompts.fileEmpty");
    });
  }

  /** Keeps prompts as a file; all of them when `ids` is empty. */
  export(ids: string[], format: PromptFormat): Promise<boolean> {
    this.outcome = "";
    return this.task.run(async () => {
      const { file_name, text, prompts } = await this.#prompts.export(ids, format);
      const path = await this.#backend.saveFile(file_name, text);
      this.outcome = n("prompts.saved", prompts, { path: path || t("prompts.downloads") });
    });
  }
}

async function read(file: File): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Failure("invalid_argument", t("prompts.fileNotText", { file: file.name }));
  }
}
