import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import type { App } from "../../state/app.svelte";
import { settle, show, startedApp } from "../../test/fake";
import OwnDevice from "../devices/OwnDevice.svelte";
import LendingSection from "../settings/LendingSection.svelte";
import UsageSection from "../settings/UsageSection.svelte";

let daemon: FakeDaemon;
let app: App;

beforeEach(async () => {
  ({ daemon, app } = await startedApp());
});

const last = (method: string) => daemon.calls.findLast((call) => call.method === method)?.params;

async function menu(button: RegExp | string, item: string, role = "menuitem"): Promise<void> {
  const trigger = await screen.findByRole("button", { name: button });
  trigger.focus();
  await fireEvent.keyDown(trigger, { key: "Enter" });
  const found = await screen.findByRole(role, { name: item });
  await fireEvent.pointerUp(found);
  await fireEvent.click(found);
  await settle();
}

test("lending shows what runs and what waits, and is paused and taken up again", async () => {
  show(app, LendingSection, {});
  await screen.findByText("Running for others");
  const rows = screen.getAllByTestId("lent").map((row) => row.textContent ?? "");
  expect(rows[0]).toMatch(/Desk.*Qwen3-8B-Q4_K_M.*for \d+ s/s);
  expect(rows[1]).toMatch(/1.*Attic server/s);
  await menu("Pause", "Pause after running answers");
  expect(last("lend_pause")).toEqual({ seconds: null, atOnce: false });
  await screen.findByText("Paused until you lend again");
  await fireEvent.click(screen.getByRole("button", { name: "Lend again" }));
  await screen.findByText("Serves one request of others at a time.");
});

test("a rule counts as soon as its field is left; what is no number does not", async () => {
  show(app, LendingSection, {});
  const field = (await screen.findByLabelText("Tokens a day")) as HTMLInputElement;
  field.focus();
  await fireEvent.input(field, { target: { value: "-3" } });
  await fireEvent.keyDown(field, { key: "Enter" });
  expect(field.getAttribute("aria-invalid")).toBe("true");
  expect(last("lend_set")).toBeUndefined();
  await fireEvent.input(field, { target: { value: "5000" } });
  await fireEvent.keyDown(field, { key: "Enter" });
  await vi.waitFor(() =>
    expect(last("lend_set")?.rules).toMatchObject({ tokens_per_day: 5000, concurrent: 2 }),
  );
  await fireEvent.input(field, { target: { value: "" } });
  await fireEvent.blur(field);
  await vi.waitFor(() => expect(last("lend_set")?.rules).toMatchObject({ tokens_per_day: null }));
});

test("hours, models and switches go to the daemon", async () => {
  show(app, LendingSection, {});
  await fireEvent.change(await screen.findByLabelText("From"), { target: { value: "22:30" } });
  await vi.waitFor(() => expect(last("lend_set")?.rules).toMatchObject({ hours: { from: 1350, to: 1320 } }));
  await menu("All models", "myownllm-demo", "menuitemcheckbox");
  await vi.waitFor(() => {
    const { models } = last("lend_set")?.rules as { models: string[] };
    expect(models).toHaveLength(4);
    expect(models).not.toContain("myownllm-demo");
  });
  await fireEvent.click(screen.getByRole("switch", { name: "Only when idle" }));
  await vi.waitFor(() => expect(last("lend_set")?.rules).toMatchObject({ only_idle: true }));
});

test("a member has rules of its own, and none again when the last is gone", async () => {
  show(app, LendingSection, {});
  const row = (await screen.findAllByTestId("member-rules")).find((one) =>
    one.textContent?.includes("Phone"),
  );
  if (!row) throw new Error("Phone has a row");
  expect(row.textContent).toContain("1 at once · 20,000 tokens a day");
  await fireEvent.click(within(row).getByRole("button", { name: /Phone/ }));
  for (const label of ["Tokens a day", "Requests at once"]) {
    within(row).getByLabelText(label).focus();
    await fireEvent.input(within(row).getByLabelText(label), { target: { value: "" } });
    await fireEvent.blur(within(row).getByLabelText(label));
    await settle();
  }
  await within(row).findByText("as everybody");
  expect(last("lend_member")?.rules).toMatchObject({ concurrent: null, tokens_per_day: null });
});

test("lending is paused from the foot of the sidebar, which then says so", async () => {
  show(app, OwnDevice, {});
  await menu(/^Laptop, lending/, "Pause for an hour");
  expect(last("lend_pause")).toEqual({ seconds: 3600, atOnce: false });
  await screen.findByRole("button", { name: /paused/i });
});

test("usage tells totals and rows, for a span that can be changed, and whether both agree", async () => {
  show(app, UsageSection, {});
  expect((await screen.findByTestId("usage-lent")).textContent).toMatch(/28,430 tokens.*100 requests/s);
  const rows = screen.getAllByTestId("usage-row").map((row) => row.textContent ?? "");
  expect(rows[0]).toMatch(/borrowed from.*Desk.*qwen3-8b.*214.*61,902.*25 min.*the same/s);
  expect(rows[1]).toContain("not compared yet");
  await fireEvent.click(screen.getByRole("radio", { name: "365 days" }));
  await vi.waitFor(() =>
    expect(screen.getByTestId("usage-lent").textContent).toMatch(/284,300 tokens.*1,000 requests/s),
  );
});
