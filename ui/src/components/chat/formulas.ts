/**
 * Where formulas are in Markdown: `$x$`, `$$x$$`, `\(x\)` and `\[x\]`. A formula holds no backtick, so that it cannot
 * reach into code; without its end, as while an answer is being written, it is text.
 */
import type { MarkedExtension, Tokens } from "marked";
import { formula } from "./maths.svelte";

interface Formula extends Tokens.Generic {
  /** TeX without its marks. */
  text: string;
  display: boolean;
}

/*
 * Each form is bounded: the longest formulas of textbooks have a few hundred characters, the time to draw one grows with
 * its length, and so does the time to find that one has no end.
 */
/** On lines of its own, without an empty line within. */
const BLOCK = [
  /^ {0,3}\$\$((?:\\[^`]|(?!\$\$|\n[ \t]*\n)[^\\`]){1,2000})\$\$[ \t]*(?:\n|$)/,
  /^ {0,3}\\\[((?:(?!\\\]|\n[ \t]*\n)[^`]){1,2000})\\\][ \t]*(?:\n|$)/,
];
/** `$` is also money: an opening one is followed, a closing one preceded by something, and a digit after it is a price. */
const INLINE = [
  { marks: /^\$\$((?:\\[^`]|(?!\$\$)[^\\`]){1,2000})\$\$/, display: true },
  { marks: /^\$(?![\s$])((?:\\[^`\n]|[^\\`$\n]){1,2000})(?<!\s)\$(?![\d$])/, display: false },
  { marks: /^\\\[((?:(?!\\\])[^`]){1,2000})\\\]/, display: true },
  { marks: /^\\\(((?:(?!\\\))[^`]){1,2000})\\\)/, display: false },
];

/** Where the next block formula may interrupt the paragraph that `src` begins with. */
function blockStart(src: string): number | undefined {
  const end = src.search(/\n[ \t]*\n/);
  const at = (end < 0 ? src : src.slice(0, end)).search(/\n {0,3}(?:\$\$|\\\[)/);
  return at < 0 ? undefined : at + 1;
}

/** Where text is to stop for a look at what comes: at `$`, or where it stops anyway. Looks only so far ahead each time. */
function inlineStart(src: string): number | undefined {
  const near = src.slice(0, 1000);
  const at = near.search(/[$\\<!`*~[]/);
  if (at >= 0) return at;
  return near.length < src.length ? near.length : undefined;
}

function token(type: string, match: RegExpExecArray, display: boolean): Formula | undefined {
  const [raw, source = ""] = match;
  const text = source.trim();
  return text === "" ? undefined : { type, raw, text, display };
}

function inline(src: string, before: string): Formula | undefined {
  // "US$5 and CA$" and "$$x$" while its last character is on the way.
  if (src.startsWith("$") && /[\w$]$/.test(before)) return undefined;
  for (const { marks, display } of INLINE) {
    const match = marks.exec(src);
    if (match) return token("formula", match, display);
  }
  return undefined;
}

/** `drawn` makes the HTML of a formula from its MathML, or from nothing where its source is to be shown. */
export const formulas = (
  drawn: (mathml: string | undefined, source: string, display: boolean) => string,
): MarkedExtension => {
  const renderer = ({ text, raw, display }: Tokens.Generic): string =>
    drawn(formula(text, display), raw.trim(), display);
  return {
    extensions: [
      {
        name: "formulaBlock",
        level: "block",
        start: blockStart,
        tokenizer(src) {
          const match = BLOCK.map((marks) => marks.exec(src)).find((found) => found !== null);
          return match ? token("formulaBlock", match, true) : undefined;
        },
        renderer: (it) => `<p>${renderer(it)}</p>\n`,
      },
      {
        name: "formula",
        level: "inline",
        start: inlineStart,
        tokenizer: (src, tokens) => inline(src, tokens.at(-1)?.raw ?? ""),
        renderer,
      },
    ],
  };
};
