/**
 * Documents that keep themselves in step, in Chromium over two real daemons: a prompt written on one and used on the
 * other, its history, a file, rules that tighten and loosen, what a member may do, titles, and the switch.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { violations } from "./browser";
import { household, type Household } from "./household";

let home: Household;
let first: Page;
let second: Page;
/** A change travels to the other device and onto its screen meanwhile. */
const soon = <T>(ask: () => Promise<T>) => expect.poll(ask, { timeout: 10_000 });

const press = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole("button", { name }).first().click();

/** Opens a section of the settings, as its navigation does. */
async function settings(page: Page, name: string | RegExp): Promise<void> {
  await page.keyboard.press("Control+,");
  await page.getByRole("link", { name, exact: typeof name === "string" }).click();
}

/** Opens how far the devices of the active network are. */
async function sync(page: Page): Promise<void> {
  await page.getByTestId("switcher").click();
  await page.getByRole("menuitem", { name: "Network settings" }).click();
  await page.getByRole("link", { name: "Sync", exact: true }).click();
}

const rule = (page: Page, tool: string, name: string) =>
  page.getByTestId("permission").filter({ hasText: tool }).getByRole("radio", { name });

beforeAll(async () => {
  home = await household();
  ({ first, second } = home);
});

afterAll(() => home.close());

test("a prompt that is written on one device is on the other, and nothing of it is carried out", async () => {
  await settings(first, "Prompts");
  await settings(second, "Prompts");
  await press(first, "New prompt");
  await first.getByLabel("Name").fill("Patient teacher");
  await first
    .getByLabel("What the model is told")
    .fill("Explain {{topic}} to a child. <img src=x onerror='document.title=1'> **Briefly.**");
  await first.getByLabel("Question for topic").fill("What about?");
  await first.getByLabel("First words of the message").fill("Tell me about {{topic}}.");
  await press(first, "Save");
  await second.getByRole("link", { name: /^Patient teacher/ }).click();
  await second.getByRole("radio", { name: "Preview" }).click();
  const preview = second.getByTestId("preview");
  expect(await preview.innerText()).toContain("<img src=x");
  expect(await preview.locator("img").count()).toBe(0);
  expect(await second.title()).not.toBe("1");
  expect(await violations(second)).toEqual([]);
});

test("an edit there shows here, with who and when, and the text before comes back from the history", async () => {
  await second.getByRole("radio", { name: "Write" }).click();
  await second.getByLabel("What the model is told").fill("Explain {{topic}} to an expert.");
  await press(second, "Save");
  const row = first.getByTestId("prompt");
  await soon(() => row.innerText()).toMatch(/Explain \{\{topic\}\} to an expert/);
  expect(await row.innerText()).toMatch(/changed just now by Laptop/);
  await row.getByRole("link").click();
  await first.getByRole("link", { name: "History" }).click();
  const old = first.getByTestId("version").nth(1);
  await old.getByRole("button", { expanded: false }).click();
  await old.getByText("to a child").waitFor();
  expect(await old.innerText()).toContain("Desk");
  await old.getByRole("button", { name: "Restore" }).click();
  await soon(() => first.getByTestId("version").count()).toBe(3);
  await soon(() => second.getByTestId("prompt").innerText()).toContain("to a child");
});

test("prompts are put in order with the keys, deleted, and brought back", async () => {
  await press(first, "All prompts");
  await press(first, "More for Patient teacher");
  await first.getByRole("menuitem", { name: "Duplicate" }).click();
  const labels = (page: Page) =>
    page.getByTestId("prompt").locator("a > span > span:first-child").allTextContents();
  await soon(() => labels(second)).toHaveLength(2);
  const [teacher, copy] = await labels(first);
  await first.getByTestId("prompt").nth(1).getByRole("link").focus();
  await first.keyboard.press("Alt+ArrowUp");
  await soon(() => labels(second)).toEqual([copy, teacher]);
  await first.keyboard.press("Delete");
  await first.getByText(/was deleted on all devices/).waitFor();
  await soon(() => labels(second)).toEqual([teacher]);
  await press(first, "Undo");
  await soon(() => labels(second)).toEqual([copy, teacher]);
});

test("a file that is broken changes nothing, and a whole one is taken", async () => {
  const file = (text: string) => ({
    name: "prompts.json",
    mimeType: "application/json",
    buffer: Buffer.from(text),
  });
  await first.locator("input[type=file]").setInputFiles(file('{"prompts": [{"label": "Half"'));
  const told = await first.getByTestId("pane").getByRole("alert").innerText();
  expect(told).toMatch(/\.\s*$/);
  expect(await first.getByTestId("prompt").count()).toBe(2);
  const exported = (await home.desk.cli("prompt", "export")) as { text: string };
  await first.locator("input[type=file]").setInputFiles(file(exported.text));
  await first.getByText("2 were there already.").waitFor();
});

test("a slash in the message box finds it, asks, and the question goes with it", async () => {
  await first.keyboard.press("Control+n");
  const message = first.getByLabel("Message", { exact: true });
  await message.pressSequentially("/patient teacher");
  await first.keyboard.press("ArrowDown");
  await first.keyboard.press("Enter");
  await first.getByLabel("What about?").fill("tides");
  await first.keyboard.press("Enter");
  await first.getByTestId("prompt-chip").waitFor();
  expect(await message.inputValue()).toBe("Tell me about tides.");
  await first.keyboard.press("Enter");
  await first
    .getByTestId("meta")
    .getByText(/tokens\/s/)
    .waitFor({ timeout: 60_000 });
});

test("its title shows on the other device, until it is kept private", async () => {
  await sync(first);
  const show = first.getByLabel("Show the titles of my conversations to this network");
  if ((await show.getAttribute("aria-checked")) !== "true") await show.click();
  await second.getByRole("button", { name: "Conversations that Desk shows" }).click();
  await second.getByText("Titles only. What was said stays on Desk.").waitFor();
  const shown = second.getByRole("list", { name: "Conversations on Desk" });
  expect(await shown.innerText()).toContain("Tell me about tides");
  await first.getByRole("link", { name: /^Tell me about tides/ }).hover();
  await press(first, /^More for Tell me about tides/);
  await first.getByRole("menuitem", { name: "Keep private" }).click();
  await soon(() => shown.count()).toBe(0);
});

test("a stricter rule applies at once, a looser one waits for a person", async () => {
  await settings(first, /^Permissions/);
  await settings(second, /^Permissions/);
  await rule(first, "Run commands", "Deny").click();
  await soon(() => rule(second, "Run commands", "Deny").getAttribute("aria-checked")).toBe("true");
  await rule(first, "Run commands", "Allow").click();
  // A toast says it as well, for whoever looks elsewhere.
  const card = second.getByTestId("proposal");
  await card.getByText("Desk proposes to allow running commands. It is Deny here.").waitFor();
  expect(await rule(second, "Run commands", "Deny").getAttribute("aria-checked")).toBe("true");
  expect(await violations(second)).toEqual([]);
  await press(second, "Allow here");
  await soon(() => rule(second, "Run commands", "Allow").getAttribute("aria-checked")).toBe("true");
  await soon(() => second.getByTestId("proposal").count()).toBe(0);
});

test("what a member may do here is set on its page", async () => {
  await settings(first, "Devices");
  await first
    .getByTestId("pane")
    .getByRole("button", { name: /^Laptop/ })
    .click();
  const files = first.getByLabel("Files, by Laptop");
  const before = await files.getAttribute("aria-checked");
  await files.click();
  await soon(() => files.getAttribute("aria-checked")).not.toBe(before);
  expect(await violations(first)).toEqual([]);
});

test("switched off, nothing comes in; on again, what happened meanwhile does", async () => {
  await sync(second);
  const gossip = second.getByLabel("Keep documents in step");
  await gossip.click();
  await soon(() => gossip.getAttribute("aria-checked")).toBe("false");
  await second.getByTestId("sync-mark").filter({ hasText: "Switched off" }).waitFor();
  const made = (await home.desk.cli(
    "prompt",
    "set",
    "while-off",
    "--label",
    "Made meanwhile",
    "--body",
    "Hello.",
  )) as {
    id: string;
  };
  await sync(first);
  await first.getByTestId("sync-mark").filter({ hasText: "Switched off" }).waitFor();
  const there = (await home.laptop.cli("prompt", "list")) as { id: string }[];
  expect(JSON.stringify(there)).not.toContain(made.id);
  await gossip.click();
  await second.getByTestId("sync-mark").filter({ hasText: "Equal" }).waitFor();
  await settings(second, "Prompts");
  await second.getByRole("link", { name: /^Made meanwhile/ }).waitFor();
});

test("nothing went wrong in either window", () => {
  expect(home.errors()).toEqual([]);
});
