import { describe, expect, test } from "vitest";
import { Blocks } from "./markdown";

const html = (text: string): string =>
  new Blocks()
    .of(text)
    .map((block) => (block.kind === "html" ? block.html : block.text))
    .join("");

/** What a browser would make of it. */
function page(text: string): HTMLElement {
  const root = document.createElement("div");
  root.innerHTML = html(text);
  return root;
}

describe("hostile Markdown is inert", () => {
  const attacks = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:msgbox)",
    "[x](file:///etc/passwd)",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    '[x](https://a.example "onmouseover=alert(1)")',
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input name=a></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "`<img src=x onerror=alert(1)>`",
    "| <img src=x onerror=alert(1)> |\n|---|\n| <script>alert(1)</script> |",
    "[x]: javascript:alert(1)\n\n[x]",
    "<details open ontoggle=alert(1)>",
  ];
  test.each(attacks)("%s", (attack) => {
    const root = page(attack);
    expect(
      root.querySelector("script, img, svg, iframe, style, form, input, math, details, object, embed"),
    ).toBeNull();
    for (const element of root.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) {
        expect(["href", "align", "start"]).toContain(name);
        if (name === "href") expect(value).toMatch(/^(https?|mailto):/i);
      }
    }
  });
});

test("a picture becomes a link: nothing is fetched", () => {
  const link = page("![a cat](https://example.org/cat.png)").querySelector("a");
  expect([link?.textContent, link?.getAttribute("href")]).toEqual(["a cat", "https://example.org/cat.png"]);
});

test("HTML is shown as the text it is", () => {
  expect(page("Use <b>bold</b> tags").textContent?.trim()).toBe("Use <b>bold</b> tags");
});

test("code keeps every character and its language", () => {
  const [block] = new Blocks().of('```html onclick="x"\n<b>&amp;</b>\n```');
  expect(block).toEqual({ kind: "code", text: "<b>&amp;</b>", language: "html" });
});

test("tables and lists come out", () => {
  const root = page("| a | b |\n|---|--:|\n| 1 | 2 |\n\n3. three\n4. four");
  expect(root.querySelectorAll("td")).toHaveLength(2);
  expect(root.querySelector("ol")?.getAttribute("start")).toBe("3");
});

test("while text grows, finished blocks stay the same objects", () => {
  const blocks = new Blocks();
  const before = blocks.of("# One\n\nTwo");
  const after = blocks.of("# One\n\nTwo and more\n\n```sh\nls");
  expect(after[0]).toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
  expect(after[2]).toEqual({ kind: "code", text: "ls", language: "sh" });
});
