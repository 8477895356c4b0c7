/**
 * A network that people can trust, in Chromium over two real daemons: an invite with its QR code, what is near, roles,
 * decisions, connections, activities, relays, the doctor, and a removal that both sides see.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Device } from "../../scripts/lib/mesh.mjs";
import { violations } from "./browser";
import { Surface } from "./surface";

let surface: Surface;
const desk = new Device("Desk");
const laptop = new Device("Laptop");
let first: Page;
let second: Page;

const open = (device: Device, more = ""): Promise<Page> =>
  surface.open(device, more, { reducedMotion: "reduce" });

const press = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole("button", { name }).first().click();

/** Opens a page of the active network, as its navigation does. */
async function page(of: Page, name: string): Promise<void> {
  if ((await of.getByRole("navigation", { name: /^Pages of/ }).count()) === 0) {
    await of.getByTestId("switcher").click();
    await of.getByRole("menuitem", { name: "Network settings" }).click();
  }
  await of.getByRole("link", { name, exact: true }).click();
}

beforeAll(async () => {
  surface = await Surface.start();
  const quiet = ["--bridge-port", "0", "--no-builtin-engine"];
  await Promise.all([desk.serve(...quiet), laptop.serve(...quiet)]);
  await desk.cli("network", "create", "home", "--closed");
  first = await open(desk);
});

afterAll(async () => {
  await surface?.close();
  await Promise.all([desk.remove(), laptop.remove()]);
});

test("where nothing is near, the list says why instead of looking for ever", async () => {
  await first.getByTestId("switcher").click();
  await first.getByRole("menuitem", { name: "Join a network" }).click();
  const nearby = first.getByTestId("nearby");
  await expect.poll(() => nearby.innerText()).toMatch(/\.\s*$|Open that setting/);
  expect(await nearby.getByRole("button", { name: /^Knock/ }).count()).toBe(0);
  expect(await violations(first)).toEqual([]);
  await first.keyboard.press("Escape");
});

test("an invite that lets in once, as link and QR code, opened on the other device", async () => {
  await press(first, "Invite a device");
  await first.getByTestId("qr").waitFor();
  await first.getByRole("radio", { name: "Let in at once" }).click();
  await press(first, "Make invite");
  await first.getByText("Whoever has this link gets in").waitFor();
  await first.getByTestId("qr").waitFor();
  const link = (await first.getByTestId("invite").innerText()).trim();
  expect(link).toMatch(/^myownllm:\/\/join\//);
  expect(await violations(first)).toEqual([]);
  await first.keyboard.press("Escape");

  second = await open(laptop, `&link=${encodeURIComponent(link)}`);
  await second.getByText("From the link you opened").waitFor();
  expect(await second.getByLabel("Invite link").inputValue()).toBe(link);
  await second.getByRole("button", { name: "Knock", exact: true }).click();
  await second.getByText("This device is now a member of home.").waitFor({ timeout: 30_000 });
  await press(second, "Done");
  await press(second, "Skip to the app");
  await expect
    .poll(() => second.getByTestId("status").getAttribute("data-phase"), { timeout: 30_000 })
    .toBe("online");
});

test("members: who is there, admitted by whom, and a role that both sides see", async () => {
  await page(first, "Members");
  await first
    .getByText(/admitted by/)
    .first()
    .waitFor();
  await first.getByLabel("Role of Laptop").click();
  await first.getByRole("option", { name: /Manager/ }).click();
  await expect.poll(() => first.getByLabel("Role of Laptop").innerText()).toContain("Manager");
  await page(second, "Status");
  await second.getByText("You are a manager").waitFor();
  expect(await violations(first)).toEqual([]);
});

test("connections: the line between the two, as picture and table", async () => {
  await page(first, "Connections");
  await expect.poll(() => first.locator("[data-testid=graph] line[data-path=direct]").count()).toBe(1);
  await first.getByRole("rowheader", { name: "Laptop" }).waitFor();
  await first.getByRole("cell", { name: /ms$/ }).first().waitFor();
  await first.getByRole("cell", { name: /B\/s$/ }).first().waitFor();
  expect(await violations(first)).toEqual([]);
});

test("governance: signed decisions, and who may let devices in", async () => {
  await page(first, "Governance");
  await expect.poll(() => first.getByTestId("decision").count()).toBeGreaterThanOrEqual(3);
  await first
    .getByText(/^Signed by Desk/)
    .first()
    .waitFor();
  await first.getByRole("radio", { name: "Every member may let devices in" }).click();
  await press(first, "Change it");
  await page(second, "Governance");
  await expect
    .poll(() => second.getByRole("radio", { name: "Every member may let devices in" }).isChecked())
    .toBe(true);
  expect(await second.getByRole("radio", { name: "Only owners and managers may" }).isDisabled()).toBe(true);
  expect(await violations(first)).toEqual([]);
});

test("activity: what happened, filtered, and kept as a file", async () => {
  await page(first, "Activity");
  await expect.poll(() => first.getByTestId("activity").count()).toBeGreaterThan(2);
  await first.getByRole("button", { name: "Members", exact: true }).click();
  await expect
    .poll(async () =>
      (await first.getByTestId("activity").allInnerTexts()).every((text) => /Laptop/.test(text)),
    )
    .toBe(true);
  await press(first, "Export");
  const [download] = await Promise.all([
    first.waitForEvent("download"),
    first.getByRole("menuitem", { name: "Save as JSON" }).click(),
  ]);
  expect(download.suggestedFilename()).toBe("home-activity.json");
  expect(await violations(first)).toEqual([]);
});

test("relays: added, put first, taken away, and one switch over all, seen by the member", async () => {
  await page(first, "Relays");
  await first.getByTestId("silent").waitFor();
  for (const relay of ["http://127.0.0.1:9/", "http://127.0.0.1:19/"]) {
    await first.getByLabel("Another relay").fill(relay);
    await first.getByRole("button", { name: "Add", exact: true }).click();
    await first.getByLabel(`Remove ${new URL(relay).host}`).waitFor();
  }
  expect(await first.getByTestId("silent").count()).toBe(0);
  await first.getByLabel("Prefer 127.0.0.1:19 more").click();
  await expect.poll(async () => (await desk.cli("network", "show")).settings.relays[0]).toContain(":19");
  await page(second, "Relays");
  await second.getByText("127.0.0.1:19").first().waitFor();
  expect(await second.getByLabel("Stay on the local network").isDisabled()).toBe(true);
  await first.getByLabel("Stay on the local network").click();
  await second.getByText("Nothing contacts the internet").waitFor();
  await first.getByLabel("Remove 127.0.0.1:9", { exact: true }).click();
  await expect.poll(async () => (await desk.cli("network", "show")).settings.relays.length).toBe(1);
  expect(await violations(first)).toEqual([]);
});

test("a relay that is none is refused with a sentence", async () => {
  await first.getByLabel("Another relay").fill("not a relay");
  await first.getByRole("button", { name: "Add", exact: true }).click();
  await first.getByTestId("pane").getByRole("alert").waitFor();
  expect(await first.getByLabel("Another relay").inputValue()).toBe("not a relay");
});

test("the doctor: the stages against a member, with a button that mends, and a masked report", async () => {
  await press(first, /^Laptop/);
  await press(first, "Check");
  await press(first, "Copy report");
  expect(await first.locator("li[data-state=passed]").count()).toBeGreaterThanOrEqual(3);
  const report = await first.evaluate(() => navigator.clipboard.readText());
  expect(report).not.toContain("Laptop");
  expect(report).not.toContain((await laptop.cli("status")).device_id);
  expect(await violations(first)).toEqual([]);
  await first.getByLabel("What to check").click();
  await first.getByRole("option", { name: "This device" }).click();
  await press(first, "Open engines");
  await first.getByTestId("pane").getByRole("heading", { name: "Engines" }).waitFor();
});

test("a removal: where it has arrived on one side, a network that is over on the other", async () => {
  await page(first, "Members");
  await first.getByLabel("Remove Laptop").click();
  await first.getByRole("dialog").getByRole("button", { name: "Remove this device" }).click();
  await first.getByTestId("removal").first().waitFor();
  await second.getByRole("button", { name: "Forget…" }).waitFor();
  await second.getByRole("button", { name: "Knock again", exact: true }).waitFor();
  expect(await violations(second)).toEqual([]);
  expect(surface.errors().filter((text) => !/WebSocket/.test(text))).toEqual([]);
});
