/** Where the text of an answer is cut to show that it changed hands. */
import type { Seam } from "../ipc/bindings";

/** A stretch of text, and what happened before it; `undefined` for the first. */
export interface Stretch {
  text: string;
  seam: Seam | undefined;
}

/** The first `bytes` bytes of a text in UTF-8. A cut inside a character gives what comes before it. */
export function cutBytes(text: string, bytes: number): string {
  let end = 0;
  let used = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    used += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (used > bytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}

const FENCE = /^ {0,3}(```+|~~~+)(.*)$/gm;

/** The line that opened the fence which is still open at the end of `text`. */
function openFence(text: string): string | undefined {
  let open: { line: string; mark: string } | undefined;
  for (const [line, mark = "", words = ""] of text.matchAll(FENCE)) {
    if (open === undefined) open = { line, mark };
    else if (mark.startsWith(open.mark) && words.trim() === "") open = undefined;
  }
  return open?.line;
}

/** A place at or after `at` where Markdown can be cut: after a word, or after the line of a list, a table or code. */
function cuttable(text: string, at: number): number {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const line = /^[^\n]*/.exec(text.slice(start))?.[0] ?? "";
  if (/^\s*\|/.test(line)) {
    const rows = /^(?:\s*\|[^\n]*\n?)*/.exec(text.slice(start))?.[0] ?? "";
    return start + rows.length;
  }
  const whole = /^\s*([-*+]|\d+[.)]|>|#)/.test(line) || openFence(text.slice(0, at)) !== undefined;
  const rest = (whole ? /^[^\n]*\n?/ : /^\S*/).exec(text.slice(at))?.[0] ?? "";
  return at + rest.length;
}

/** The text in its stretches. A code block that a seam cuts is closed before it and opened again after it. */
export function stretches(text: string, seams: readonly Seam[]): Stretch[] {
  const found: Stretch[] = [];
  let from = 0;
  let seam: Seam | undefined;
  let opening = "";
  for (const next of [...seams].sort((a, b) => a.at - b.at)) {
    const at = cutBytes(text, next.at).length;
    const end = Math.max(from, at === 0 ? 0 : cuttable(text, at));
    const fence = openFence(text.slice(0, end));
    found.push({
      text: opening + text.slice(from, end) + (fence ? "\n" + /[`~]+/.exec(fence)?.[0] : ""),
      seam,
    });
    opening = fence ? `${fence}\n` : "";
    [from, seam] = [end, next];
  }
  found.push({ text: opening + text.slice(from), seam });
  return found;
}
