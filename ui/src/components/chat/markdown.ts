/**
 * Markdown from a model, which is hostile input, as blocks that can be drawn one by one. HTML in it is shown as text,
 * pictures become links (loading one would tell a stranger that it was read), and what is left passes DOMPurify.
 */
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

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

const TAGS = [
  ..."a b blockquote br code del em h3 h4 h5 h6 hr i li ol p pre s strong".split(" "),
  ..."sub sup table tbody td th thead tr ul".split(" "),
];

const clean = (html: string): string =>
  DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "align", "start"],
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
    ADD_URI_SAFE_ATTR: ["align", "start"],
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

  of(text: string): Block[] {
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
