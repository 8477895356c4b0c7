/**
 * Compute worth sharing, in Chromium over two real daemons: a plan that comes true, models in and out of memory, lending
 * that is paused, usage that both count alike, and programs at the local API.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { violations } from "./browser";
import { household, type Household } from "./household";

const MODEL = "myownllm-demo";
let home: Household;
let desk: Page;
let laptop: Page;
/** A change travels to the other device and onto its screen meanwhile. */
const soon = <T>(ask: () => Promise<T>) => expect.poll(ask, { timeout: 10_000 });

const go = (page: Page, hash: string): Promise<void> =>
  page.evaluate((to) => {
    location.hash = to;
  }, hash);
const press = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole("button", { name }).first().click();
const write = (page: Page, words: string): Promise<void> =>
  page.getByLabel("Message", { exact: true }).fill(words);

beforeAll(async () => {
  home = await household();
  ({ first: desk, second: laptop } = home);
  // The demo model shows on the laptop once the desk has told of it.
  await laptop.getByRole("button", { name: /^Desk.*model/ }).waitFor({ timeout: 30_000 });
});

afterAll(() => home.close());

test("the plan says where and why, and the answer what was predicted and what it took", async () => {
  await go(laptop, "#/chat");
  await write(laptop, "What is this app?");
  const plan = laptop.getByTestId("plan");
  await soon(() => plan.innerText()).toMatch(new RegExp(`Desk\\s*·\\s*${MODEL}.*first word in about`, "s"));
  await press(laptop, "Why there?");
  await soon(() => plan.innerText()).toMatch(/This device.*no model/is);
  expect(await violations(laptop)).toEqual([]);
  await press(laptop, "Hide");
  await laptop.getByLabel("Message", { exact: true }).press("Enter");
  const meta = laptop.getByTestId("meta").last();
  await meta.getByText(/tokens\/s/).waitFor({ timeout: 60_000 });
  expect(await meta.innerText()).toContain("Desk");
  await laptop.getByRole("button", { name: "Times" }).last().click();
  const times = await laptop.getByTestId("times").innerText();
  expect(times).toMatch(/First word\s+[\d.]+ m?s\s+[\d.]+ m?s/);
});

test("a model leaves memory and comes back, and the other device sees it", async () => {
  await go(desk, "#/models/here");
  const row = desk.getByTestId("kept").filter({ hasText: MODEL });
  await soon(() => row.innerText()).toContain("Ready");
  await row.getByRole("button", { name: "Unload" }).click();
  await soon(() => row.innerText()).toContain("Loads when asked");
  await row.getByRole("button", { name: "Load", exact: true }).click();
  await soon(() => row.innerText()).toContain("Ready");
  expect(await violations(desk)).toEqual([]);
  await go(laptop, "#/models/others");
  await laptop.getByText(MODEL).first().waitFor();
  await soon(() => laptop.getByRole("main").innerText()).toContain("Ready");
});

test("the catalogue says what fits this device, and why", async () => {
  await go(desk, "#/models/catalogue");
  await desk.getByLabel("Search models").fill("qwen3");
  await soon(() => desk.getByTestId("family").count()).toBeGreaterThan(0);
  expect(await desk.getByRole("main").innerText()).toMatch(/Recommended|Fits|Tight|Too big/);
  expect(await violations(desk)).toEqual([]);
});

test("lending is paused and goes on, and the laptop is told", async () => {
  await go(desk, "#/settings/lending");
  await press(desk, "Pause");
  await desk.getByRole("menuitem", { name: "Pause after running answers" }).click();
  await desk.getByText("Paused until you lend again").waitFor();
  await soon(async () => (await home.laptop.cli("device", "show", "Desk")).accepting).toBe("busy");
  await go(laptop, "#/chat");
  await write(laptop, "Are you there?");
  await soon(() => laptop.getByTestId("plan").innerText()).toMatch(/not accepting|no model/i);
  await press(desk, "Lend again");
  await soon(async () => (await home.laptop.cli("device", "show", "Desk")).accepting).toBe("available");
  await write(laptop, "");
});

test("both devices count the same", async () => {
  const tokens = async (page: Page): Promise<string> => {
    await go(page, "#/settings/usage");
    return page.getByTestId("usage-row").filter({ hasText: MODEL }).innerText();
  };
  await soon(() => tokens(laptop)).toMatch(/borrowed from\s+Desk.*the same/s);
  await soon(() => tokens(desk)).toMatch(/lent to\s+Laptop/);
  const numbers = (row: string) => /\s1\s+([\d,]+)\s/.exec(row)?.[1];
  expect(numbers(await tokens(laptop))).toBe(numbers(await tokens(desk)));
  expect(await violations(laptop)).toEqual([]);
});

test("a program at the local API is seen while it asks", async () => {
  await go(laptop, "#/settings/api");
  await press(laptop, "New key");
  await laptop.getByLabel("Name", { exact: true }).fill("script");
  await press(laptop, "Make key");
  const secret = (await laptop.getByTestId("secret").innerText()).trim();
  const { api } = home.laptop.ready as { api: string };
  const answer = await fetch(`${api}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
    body: JSON.stringify({ model: "myownllm", messages: [{ role: "user", content: "What is this app?" }] }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
  const request = laptop.getByTestId("request").first();
  await soon(() => request.innerText()).toMatch(new RegExp(`${MODEL}[\\s\\S]*Desk|Desk[\\s\\S]*${MODEL}`));
  expect(await request.innerText()).toContain("script");
  expect(home.errors()).toEqual([]);
});
