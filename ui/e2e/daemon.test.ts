/**
 * The whole story in Chromium over the development bridges of two real daemons with real engines: found, invite, knock,
 * same code, approve, and an answer that comes from the other device.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Device, until } from "../../scripts/lib/mesh.mjs";
import { violations } from "./browser";
import { Surface } from "./surface";

let surface: Surface;
const desk = new Device("Desk");
const laptop = new Device("Laptop");
const windows: Page[] = [];

async function open(device: Device): Promise<Page> {
  const page = await surface.open(device);
  windows.push(page);
  return page;
}

const press = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole("button", { name }).first().click();

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

async function answerOn(page: Page, route: RegExp): Promise<void> {
  await page.getByTestId("route").click();
  await page.getByRole("menuitem", { name: route }).click();
}

beforeAll(async () => {
  surface = await Surface.start();
  await Promise.all([
    desk.serve("--bridge-port", "0"),
    laptop.serve("--bridge-port", "0", "--no-builtin-engine"),
  ]);
});

afterAll(async () => {
  await surface?.close();
  await Promise.all([desk.remove(), laptop.remove()]);
});

test("the first steps: a name, a network, a first chat with the built-in model", async () => {
  const page = await open(desk);
  await page.getByLabel("Device name").fill("Desk in the attic");
  await press(page, "Continue");
  await press(page, /^Found a network/);
  await page.getByLabel("Name", { exact: true }).fill("home");
  await press(page, "Found network");
  await page.getByRole("heading", { name: "Your first chat" }).waitFor();
  expect(await violations(page)).toEqual([]);
  await press(page, /^Ask/);
  await page
    .getByTestId("meta")
    .getByText(/tokens\/s/)
    .waitFor({ timeout: 60_000 });
  const words = await page.getByTestId("answer").innerText();
  expect(words).toContain("Desk in the attic");
  expect(words).toContain("demo");
  expect(await page.getByTestId("status").getAttribute("data-phase")).toBe("alone");
  expect((await desk.cli("status")).device_name).toBe("Desk in the attic");
});

test("invite, knock, the same code on both screens, approve", async () => {
  const [first] = windows;
  if (!first) throw new Error("the first window is open");
  await press(first, "Invite a device");
  const link = (await first.getByTestId("invite").innerText()).trim();
  expect(link).toMatch(/^myownllm:\/\/join\//);
  await first.keyboard.press("Escape");

  const second = await open(laptop);
  await press(second, "Continue");
  await press(second, /^Join with an invite/);
  await second.getByLabel("Invite link").fill("https://example.org/not-an-invite");
  await press(second, "Knock");
  await second.getByRole("alert").waitFor();
  await second.getByLabel("Invite link").fill(link);
  await press(second, "Knock");

  await first.getByText("Laptop wants to join home").waitFor({ timeout: 30_000 });
  const code = await first.getByTestId("code").innerText();
  expect(code).toMatch(/^\S{3} \S{3}$/);
  await second.getByTestId("code").waitFor();
  expect(await second.getByTestId("code").innerText()).toBe(code);
  expect(await violations(second)).toEqual([]);

  await first.getByTestId("approve").focus();
  await first.keyboard.press("Enter");
  await first.waitForTimeout(300);
  expect(await first.getByTestId("approve").isVisible()).toBe(true);
  await first.getByTestId("approve").click();

  await second.getByText("This device is now a member of home.").waitFor({ timeout: 30_000 });
  await press(second, "Done");
  await press(second, "Skip to the app");
  for (const page of [first, second]) {
    await expect
      .poll(() => page.getByTestId("status").getAttribute("data-phase"), { timeout: 30_000 })
      .toBe("online");
  }
});

test("an answer that the other device gives, with the details of how", async () => {
  const [, page] = windows;
  if (!page) throw new Error("the second window is open");
  await page.getByRole("button", { name: /^Desk in the attic.*model/ }).waitFor({ timeout: 30_000 });
  await answerOn(page, /^Desk in the attic/);
  expect(await page.getByTestId("privacy").innerText()).toBe("Desk in the attic will see this message");
  await ask(page, "What is this app?");
  await page
    .getByTestId("meta")
    .getByText(/tokens\/s/)
    .waitFor({ timeout: 60_000 });
  expect(await page.getByTestId("meta").innerText()).toMatch(/Desk in the attic.*first word.*tokens\/s/s);
  expect(await violations(page)).toEqual([]);
});

test("conversations are kept, renamed, deleted and brought back", async () => {
  const [, page] = windows;
  if (!page) throw new Error("the second window is open");
  await page.reload();
  await page.getByTestId("answer").waitFor();
  const row = page.getByRole("link", { name: "What is this app?" });
  await row.hover();
  await press(page, /^More for What is this app/);
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByLabel("New title").fill("About the app");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "About the app" }).hover();
  await press(page, /^More for About the app/);
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await press(page, "Undo");
  await page.getByRole("link", { name: "About the app" }).click();
  await page.getByTestId("answer").waitFor();
});

test("a route without a model says so", async () => {
  const [, page] = windows;
  if (!page) throw new Error("the second window is open");
  await answerOn(page, /^This device/);
  expect(await page.getByTestId("privacy").innerText()).toBe("No model can be reached now");
  await ask(page, "And who are you?");
  await page
    .getByRole("main")
    .getByText(/engine|model/i)
    .last()
    .waitFor();
  await expect.poll(() => page.locator("main [role=alert], main [role=status]").count()).toBeGreaterThan(0);
});

test("a settings page shows what the daemon knows", async () => {
  const [page] = windows;
  if (!page) throw new Error("the first window is open");
  await page.keyboard.press("Control+,");
  for (const name of ["Networks", "Devices", "Engines", "Local API", "About"]) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByTestId("pane").getByRole("heading", { name, exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
  }
  await page.getByRole("link", { name: "Engines", exact: true }).click();
  await press(page, "Add an engine");
  await page.getByLabel("Address").fill("http://127.0.0.1:1");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.getByRole("alert").waitFor({ timeout: 30_000 });
  await page.keyboard.press("Escape");
});

test("a lost daemon shows, and the window goes on when it is back", async () => {
  const [page] = windows;
  if (!page) throw new Error("the first window is open");
  const { port } = new URL(desk.ready.bridge);
  await desk.stop();
  await page.getByTestId("lost").waitFor();
  await desk.serve("--bridge-port", port);
  await page.goto(surface.address(desk));
  await expect
    .poll(() => page.getByTestId("status").getAttribute("data-phase"), { timeout: 30_000 })
    .toBe("online");
  await page.getByRole("link", { name: /What can you do/ }).waitFor();
});

test("removing a device is told to it", async () => {
  const [first, second] = windows;
  if (!first || !second) throw new Error("both windows are open");
  await first.goto(`${surface.address(desk)}#/settings/devices`);
  const pane = first.getByTestId("pane");
  await pane.getByRole("button", { name: /^Laptop/ }).click();
  await press(first, "Remove…");
  await first.getByRole("dialog").getByRole("button", { name: "Remove this device" }).click();
  await expect.poll(() => pane.getByRole("button", { name: /^Laptop/ }).count()).toBe(0);
  await until("the other side to know", async () =>
    (await laptop.cli("status")).phase === "online" ? null : true,
  );
  // A daemon that was stopped is missed by the browser as well.
  expect(surface.errors().filter((text) => !/WebSocket/.test(text))).toEqual([]);
});
