import { beforeAll, describe, expect, test } from "vitest";
import { Blocks } from "./markdown";
import { loadFormulas } from "./maths.svelte";

/** What a browser would make of it. */
function page(text: string): HTMLElement {
  const root = document.createElement("div");
  const blocks = new Blocks().of(text);
  root.innerHTML = blocks.map((block) => (block.kind === "html" ? block.html : "")).join("");
  return root;
}

/** The text of each formula, those by themselves in brackets. */
const maths = (text: string): (string | null)[] =>
  [...page(text).querySelectorAll("math")].map((it) =>
    it.getAttribute("display") === "block" ? `[${it.textContent}]` : it.textContent,
  );

test("until formulas can be drawn their source is shown, then they are drawn", async () => {
  const blocks = new Blocks();
  expect(blocks.of("So $x$.")).toEqual([{ kind: "html", html: "<p>So <code>$x$</code>.</p>\n" }]);
  await loadFormulas();
  expect(blocks.of("So $x$.")[0]).toHaveProperty("html", expect.stringContaining("<mi>x</mi>"));
});

describe("where formulas are", () => {
  beforeAll(loadFormulas);

  test.each<[string, string[]]>([
    ["$x$", ["x"]],
    ["If $a$ and $b$, then ($c$).", ["a", "b", "c"]],
    ["the $n$th, $k$-th", ["n", "k"]],
    ["函数$f$的", ["f"]],
    ["\\(x\\) and \\(y\\)", ["x", "y"]],
    ["$$x$$", ["[x]"]],
    ["\\[x\\]", ["[x]"]],
    ["So\n$$\nx\n$$\nand\n\\[\ny\n\\]\nhold.", ["[x]", "[y]"]],
    ["So $$x$$ and \\[y\\] hold.", ["[x]", "[y]"]],
    ["- one\n  $$\n  x\n  $$\n- two $y$", ["[x]", "y"]],
    ["> $$x$$", ["[x]"]],
    ["| a |\n|---|\n| $x$ |", ["x"]],
    ["# About $x$", ["x"]],
    ["$a*b$ and $c*d$", ["a∗b", "c∗d"]],
    ["$a_1$ or $b_1$", ["a1", "b1"]],
    [`${"word ".repeat(1000)}$x$`, ["x"]],
  ])("%j", (text, expected) => {
    expect(maths(text)).toEqual(expected);
  });

  test.each([
    "$5 and $10",
    "$5, $10 and $15.50",
    "It costs US$5 or CA$ 7$.",
    "from $5-$10",
    "$ x $",
    "\\$x$ and \\$y",
    "$PATH and $HOME",
    "`$x$` and `\\(y\\)`",
    "for $5, `$x` and `$y`",
    "```\n$$\nx\n$$\n```",
    "    $$x$$",
    "$$\n```\n$$\n```",
    "$$$$ and \\(\\)",
    "$$x\n\ny$$",
  ])("none in %j", (text) => {
    expect(maths(text)).toEqual([]);
  });

  test("prices read as they were written", () => {
    expect(page("Pay $5 and $10, or US$5.").textContent?.trim()).toBe("Pay $5 and $10, or US$5.");
  });

  test.each(["So $x^2", "So $$x^2", "So $$x^2$", "$$\nx^2\n", "So \\(x^2", "\\[\nx^2"])(
    "without its end, %j is text",
    (text) => {
      const root = page(text);
      expect(root.querySelector("math, code")).toBeNull();
      expect(root.textContent).toContain("x^2");
    },
  );

  test("a formula by itself has its own place to scroll, others have none", () => {
    expect(page("$$x$$").querySelector("p > span > math")).not.toBeNull();
    expect(page("So $x$").querySelector("span")).toBeNull();
  });

  test("letters come in their alphabet", () => {
    expect(maths("$\\mathbb{R} \\mathcal{L} \\mathbf{v}_\\mathbf{2} \\mathfrak{g} \\mathbb{A}$")).toEqual([
      "ℝℒ𝐯𝟐𝔤𝔸",
    ]);
  });
});

describe("hostile formulas are inert", () => {
  beforeAll(loadFormulas);

  const sources = [
    "\\href{javascript:alert(1)}{x}",
    "\\href{https://evil.example}{x}",
    "\\url{javascript:alert(1)}",
    "\\includegraphics{https://evil.example/pixel.png}",
    "\\htmlClass{markdown}{x}",
    "\\htmlStyle{position:fixed}{x}",
    "\\htmlData{a=b}{x}",
    "\\def\\a{\\a\\a}\\a",
    "\\def\\a{xxxxxxxxxx}\\def\\b{\\a\\a\\a\\a\\a\\a\\a\\a\\a\\a}".repeat(20) + "\\b".repeat(500),
    "{".repeat(900) + "x" + "}".repeat(900),
    "\\frac{1}{".repeat(150) + "x" + "}".repeat(150),
    "\\left(".repeat(100) + "x" + "\\right)".repeat(100),
    "\\color{red;background:url(//evil.example)}x",
    "\\kern{-99em}x",
    "\\raisebox{-99em}{x}",
    "\\frac{1",
    "\\nosuchcommand",
  ];
  test.each(sources.map((source) => [source.slice(0, 40), source]))(
    "%s is shown as its source",
    (_, source) => {
      const root = page(`$${source}$`);
      expect(root.querySelector("math, a, img")).toBeNull();
      expect(root.querySelector("code")?.textContent).toBe(`$${source}$`);
    },
  );

  test.each([
    "<img src=x onerror=alert(1)>",
    "\\text{<script>alert(1)</script>}",
    "</math><img src=x onerror=alert(1)>",
    "\\text{</mtext></math><a href=javascript:alert(1)>x</a>}",
    "\\raisebox{99em}{x}\\rule{99em}{99em}\\kern{99em}\\!x",
    "\\colorbox{red}{x}\\boxed{x}\\cancel{x}\\angl{x}",
    "\\begin{aligned}a&=b\\\\c&=d\\end{aligned}\\tag{1}",
  ])("of %s only MathML is left", (source) => {
    for (const text of [`$${source}$`, `$$${source}$$`, `\\[\n${source}\n\\]`]) {
      const root = page(text);
      for (const element of root.querySelectorAll("*")) {
        expect(element.tagName).toMatch(/^(p|span|code|math|m[a-z]+)$/i);
        for (const { name, value } of element.attributes) {
          expect(["href", "style", "class", "id", "voffset", "src"]).not.toContain(name);
          expect(value).not.toMatch(/99em|url|script/);
        }
      }
      expect(root.querySelector("mglyph, maction, annotation, semantics")).toBeNull();
    }
  });

  test("macros of one formula do not reach the next", () => {
    expect(maths("$\\gdef\\x{1}\\x$ and $\\x$")).toEqual(["1"]);
  });

  test("a formula longer than any is text", () => {
    expect(maths(`$${"x+".repeat(1001)}x$`)).toEqual([]);
  });

  test.each(["$x ", "\\(x ", "$$x ", "\\[x ", "_ _"])(
    "a long message of %j does not hold up the rest",
    (piece) => {
      const start = performance.now();
      new Blocks().of(piece.repeat(5_000));
      expect(performance.now() - start).toBeLessThan(5_000);
    },
  );
});
