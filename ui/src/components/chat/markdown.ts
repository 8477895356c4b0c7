/**
 * Markdown from a model, which is hostile input, as blocks that can be drawn one by one. HTML in it is shown as text,
 * pictures become links (loading one would tell a stranger that it was read), formulas become MathML, and what is left
 * passes DOMPurify.
 */
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";
import { formulas } from "./formulas";
import { drawsFormulas } from "./maths.svelte";

export type Block = { kind: "code"; text: string; language: string } | { kind: "html"; html: string };

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    // A message has no place in the page's outline above its own heading.
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

// A wide formula scrolls in its span, the only kind of span there is.
marked.use(
  formulas((mathml, source, display) => {
    if (mathml === undefined) return `<code>${escape(source)}</code>`;
    return display ? `<span>${mathml}</span>` : mathml;
  }),
);

const TAGS = [
  ..."a b blockquote br code del em h3 h4 h5 h6 hr i li ol p pre s span strong".split(" "),
  ..."sub sup table tbody td th thead tr ul".split(" "),
  // Of MathML what KaTeX makes, without its annotation and without a way to link or to load.
  ..."math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle".split(" "),
  ..."msub msubsup msup mtable mtd mtext mtr munder munderover".split(" "),
];

/** Of MathML. Without `voffset`, which would draw over other messages. */
const MATHS_ATTRIBUTES = [
  ..."accent accentunder columnalign columnlines columnspacing depth display displaystyle".split(" "),
  ..."fence height largeop linethickness lspace mathbackground mathcolor mathsize mathvariant".split(" "),
  ..."maxsize minsize notation rowlines rowspacing rspace scriptlevel separator stretchy width".split(" "),
];

const clean = (html: string): string =>
  DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "align", "start", ...MATHS_ATTRIBUTES],
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
    ADD_URI_SAFE_ATTR: ["align", "start", ...MATHS_ATTRIBUTES],
    // It repeats the formula as TeX, which without its element would be text.
    ADD_FORBID_CONTENTS: ["annotation"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });

function block(token: Token): Block {
  if (token.type === "code") {
    const code = token as Tokens.Code;
    return { kind: "code", text: code.text, language: code.lang?.match(/^[\w+#.-]+/)?.[0] ?? "" };
  }
  return { kind: "html", html: clean(marked.parser([token])) };
}

/** Blocks already made, by their source: while an answer grows only its last block changes. */
export class Blocks {
  #made = new Map<string, Block>();
  #drewFormulas = false;

  of(text: string): Block[] {
    // Once formulas can be drawn, those shown as source are made again.
    if (this.#drewFormulas !== drawsFormulas()) this.#made.clear();
    this.#drewFormulas = drawsFormulas();
    const made = new Map<string, Block>();
    const blocks = marked
      .lexer(text)
      .filter((token) => token.type !== "space" && token.type !== "def")
      .map((token) => {
        const known = this.#made.get(token.raw) ?? block(token);
        made.set(token.raw, known);
        return known;
      });
    this.#made = made;
    return blocks;
  }
}
