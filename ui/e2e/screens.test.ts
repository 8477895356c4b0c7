/**
 * Every screen over an invented daemon: no error, nothing that axe objects to in light and dark, nothing cut off in the
 * smallest window. With `--mode shots` the pictures of the documentation are made as well.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { preview, type PreviewServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorsOf, launch, violations } from "./browser";
import type { Scene } from "./scene";
import { SCENES } from "./scenes";

const UI = join(import.meta.dirname, "..");
const IMAGES = join(UI, "..", "docs", "images");
/** Folder for every screen in both schemes and two sizes, for a person to look through: `LOOK=out/look npm run shots`. */
const LOOK = process.env.LOOK && resolve(UI, "..", process.env.LOOK);
const SHOTS = import.meta.env.MODE === "shots";
let server: PreviewServer;
let folder: string;
let browser: Browser;
let base: string;

/** Only this mode and the development server contain the invented daemon. Built apart: a test run changes how Svelte builds. */
function buildDesign(into: string): void {
  const vite = join(dirname(createRequire(import.meta.url).resolve("vite/package.json")), "bin", "vite.js");
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env.VITEST;
  delete env.NODE_ENV;
  const args = [vite, "build", "--mode", "design", "--outDir", into, "--emptyOutDir", "--logLevel", "error"];
  execFileSync(process.execPath, args, { cwd: UI, env, stdio: "inherit" });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "myownllm-design-"));
  buildDesign(folder);
  server = await preview({
    root: UI,
    configFile: false,
    build: { outDir: folder },
    preview: { port: 0, host: "127.0.0.1" },
    logLevel: "error",
  });
  base = server.resolvedUrls?.local[0] ?? "";
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(scene: Scene, height = 800): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height },
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto(`${base}?fake=${scene.fake}${scene.hash ?? ""}`);
  await page.waitForSelector("main");
  await page.waitForSelector("h1", { state: "attached" });
  await scene.act?.(page);
  return page;
}

/** Waits until a change of the whole page is on the screen. */
const drawn = (page: Page): Promise<unknown> =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));

/** Both schemes, in a large and in a small window. */
async function look(page: Page, name: string, into: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  const file = name.replaceAll(/[^a-z]+/gi, "-");
  for (const [width, height] of [
    [900, 600],
    [1280, 800],
  ] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await drawn(page);
      await page.waitForTimeout(250); // colours are handed down level by level
      await page.screenshot({ path: join(into, `${file}-${width}-${colorScheme}.png`) });
    }
  }
}

test.each(Object.entries(SCENES))("%s", async (name, scene) => {
  const page = await open(scene);
  if (LOOK) await look(page, name, LOOK);
  const errors = errorsOf(page);
  expect(await violations(page), "axe, light").toEqual([]);
  if (SHOTS && scene.picture) {
    mkdirSync(IMAGES, { recursive: true });
    await page.screenshot({ path: join(IMAGES, `${scene.picture}.png`) });
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await drawn(page);
  expect(await violations(page), "axe, dark").toEqual([]);
  await page.setViewportSize({ width: 720, height: 540 });
  await drawn(page);
  const size = await page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [scrollWidth, scrollHeight];
  });
  expect(size, "nothing is cut off in the smallest window").toEqual([720, 540]);
  expect(errors).toEqual([]);
  await page.context().close();
});

const home: Scene = { fake: "home", hash: "#/chat/c1" };

test("the keys lead everywhere, and Escape back", async () => {
  const page = await open(home);
  await page.keyboard.press("Control+,");
  await page.getByRole("heading", { name: "General" }).waitFor();
  await page.keyboard.press("Control+n");
  await page.getByText("What would you like to know?").waitFor();
  await page.keyboard.press("Control+b");
  await expect.poll(() => page.getByLabel("Sidebar", { exact: true }).count()).toBe(0);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("boat");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Names for a boat" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  await page.context().close();
});

test("an answer that is written does not move what the person reads", async () => {
  const page = await open({ ...home, hash: "#/chat/c1" }, 600);
  await page.getByLabel("Message", { exact: true }).fill("Tell me more.");
  await page.keyboard.press("Enter");
  await page.getByText("Here is a plan").waitFor();
  const log = page.getByRole("log");
  await log.evaluate((pane) => pane.scrollTo({ top: 100, behavior: "instant" }));
  const tops = new Set<number>();
  for (let look = 0; look < 10; look++) {
    tops.add(await log.evaluate((pane) => pane.scrollTop));
    await page.waitForTimeout(60);
  }
  expect([...tops]).toEqual([100]);
  await page.getByRole("button", { name: "Latest" }).click();
  await page.getByText("Tell me the size of your oven").waitFor();
  await expect
    .poll(() => log.evaluate((pane) => pane.scrollHeight - pane.scrollTop - pane.clientHeight))
    .toBeLessThan(3);
  await page.context().close();
});

test("the composer grows to eight lines and no further", async () => {
  const page = await open(home);
  const composer = page.getByLabel("Message", { exact: true });
  const height = async (): Promise<number> => (await composer.boundingBox())?.height ?? 0;
  const one = await height();
  await composer.fill("a\nb\nc");
  expect(await height()).toBeGreaterThan(one);
  await composer.fill("x\n".repeat(30));
  expect(await height()).toBe(8 * 22);
  await page.context().close();
});

test("a prompt is dragged to another place, and Escape leaves it where it was", async () => {
  const page = await open({ fake: "home", hash: "#/settings/prompts" });
  const labels = (): Promise<string[]> =>
    page.getByTestId("prompt").locator("a > span > span:first-child").allTextContents();
  const drag = async (drop: () => Promise<void>): Promise<void> => {
    const handle = await page.getByTitle("Drag to put it elsewhere").first().boundingBox();
    const target = await page.getByTestId("prompt").nth(2).boundingBox();
    if (!handle || !target) throw new Error("the list is drawn");
    await page.mouse.move(handle.x + 8, handle.y + 8);
    await page.mouse.down();
    await page.mouse.move(handle.x + 8, target.y + target.height - 4, { steps: 5 });
    await drop();
    await page.mouse.up();
  };
  await drag(() => page.keyboard.press("Escape"));
  expect((await labels())[0]).toBe("Letter to an office");
  await drag(() => Promise.resolve());
  await expect
    .poll(labels)
    .toEqual([
      "Careful code review",
      "Kitchen planner",
      "Letter to an office",
      "Minutes from notes",
      "Translate",
    ]);
  await page.context().close();
});

test("without motion nothing spins", async () => {
  const page = await open({ fake: "starting" });
  const duration = await page
    .locator(".animate-spin")
    .evaluate((icon) => getComputedStyle(icon).animationDuration);
  expect(parseFloat(duration)).toBeLessThan(0.001);
  await page.context().close();
});
