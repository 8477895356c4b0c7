/**
 * Formulas as MathML. KaTeX is large and most conversations have no formula, so it is loaded when the first one is met;
 * until then, and where a formula cannot be drawn, its source is shown. The result is not clean: markdown.ts sees to that.
 */
import type Katex from "katex";
import { lettered } from "./letters";

/** Braces and environments within each other. KaTeX, DOMPurify and layout all recurse; no formula that is read goes this deep. */
const MAX_DEPTH = 24;
/** Formulas kept. While an answer grows, the list or table at its end is drawn again with every word. */
const MAX_KEPT = 300;
/** The colour in which KaTeX writes the name of a command that it refuses, such as a link. */
const REFUSED = "refused";
/** A step back of two or more em, which would draw over what is before the formula. */
const STEPS_BACK = /="-(?:[2-9]|\d\d)/;

let katex = $state.raw<typeof Katex>();
let loading: Promise<void> | undefined;
const kept = new Map<string, string | undefined>();

/** Whether formulas are drawn yet; what was made before may be made again. */
export const drawsFormulas = (): boolean => katex !== undefined;

/** Loads KaTeX, once. Where that fails every formula stays its source, which can still be read. */
export function loadFormulas(): Promise<void> {
  loading ??= import("katex").then(
    (module) => void (katex = module.default),
    () => undefined,
  );
  return loading;
}

function tooDeep(source: string): boolean {
  let depth = 0;
  for (const [mark] of source.matchAll(/\\begin\b|\\end\b|\\left\b|\\right\b|\\[^]|[{}]/g)) {
    if (mark === "{" || mark === "\\begin" || mark === "\\left") depth += 1;
    if (mark === "}" || mark === "\\end" || mark === "\\right") depth -= 1;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

function draw(source: string, display: boolean): string | undefined {
  if (!katex || tooDeep(source)) return undefined;
  try {
    const mathml = katex.renderToString(source, {
      output: "mathml",
      displayMode: display,
      // Its message would be in English and red; the source says more.
      throwOnError: true,
      strict: "ignore",
      trust: false,
      errorColor: REFUSED,
      maxExpand: 200,
      maxSize: 20,
    });
    if (mathml.includes(`mathcolor="${REFUSED}"`) || STEPS_BACK.test(mathml)) return undefined;
    return lettered(mathml.slice(mathml.indexOf("<math"), mathml.lastIndexOf("</span>")));
  } catch {
    return undefined; // Not TeX, an expansion without end, or too deep for the stack: all of them the formula's fault.
  }
}

/** The formula as MathML, or nothing where its source is to be shown. */
export function formula(source: string, display: boolean): string | undefined {
  if (!drawsFormulas()) {
    void loadFormulas();
    return undefined;
  }
  const key = `${display ? "d" : "i"}${source}`;
  if (!kept.has(key)) {
    if (kept.size >= MAX_KEPT) kept.clear();
    kept.set(key, draw(source, display));
  }
  return kept.get(key);
}
