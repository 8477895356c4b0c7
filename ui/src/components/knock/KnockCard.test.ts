import { fireEvent, screen } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { home, knock } from "../../ipc/fake/world";
import type { App } from "../../state/app.svelte";
import { settle, show, startedApp } from "../../test/fake";
import KnockCard from "./KnockCard.svelte";

async function card(more: Parameters<typeof knock>[0] = {}): Promise<{ daemon: FakeDaemon; app: App }> {
  const one = knock(more);
  const { daemon, app } = await startedApp({ ...home(), knocks: [one] });
  await vi.waitFor(() => expect(app.knocks.open).toBeDefined());
  show(app, KnockCard, { knock: one });
  return { daemon, app };
}

const decided = (daemon: FakeDaemon) =>
  daemon.calls.filter((call) => /^knock_(approve|deny)$/.test(call.method));

test("says who knocks where, and shows the code in two groups", async () => {
  await card();
  expect(screen.getByText("Sam’s laptop wants to join home")).toBeTruthy();
  expect(screen.getByTestId("code").textContent?.trim()).toBe("K7M 2XQ");
});

test("Enter never approves, wherever the focus is", async () => {
  const { daemon } = await card();
  const approve = screen.getByTestId("approve");
  expect(document.activeElement).not.toBe(approve);
  approve.focus();
  expect(await fireEvent.keyDown(approve, { key: "Enter" })).toBe(false);
  await fireEvent.keyDown(document.activeElement ?? document.body, { key: "Enter" });
  await settle();
  expect(decided(daemon)).toEqual([]);
});

test("they match: admits with the compared code and closes", async () => {
  const { daemon, app } = await card();
  await fireEvent.click(screen.getByText("They match"));
  await vi.waitFor(() => expect(app.knocks.open).toBeUndefined());
  expect(decided(daemon)).toEqual([
    { method: "knock_approve", params: { id: "k1", role: "member", code: "K7M2XQ" } },
  ]);
});

test("an owner chooses the role, a member cannot", async () => {
  const { daemon, app } = await card();
  expect(screen.getByLabelText("Let it in as").textContent?.trim()).toBe("Member");
  const active = app.networks.active;
  daemon.world.networks = daemon.world.networks.map((one) => (one.active ? { ...one, role: "member" } : one));
  daemon.emit({ event: "networks_changed" });
  await vi.waitFor(() => expect(app.networks.active).not.toBe(active));
  await settle();
  expect(screen.queryByLabelText("Let it in as")).toBeNull();
});

test("they are different: denies and explains", async () => {
  const { daemon, app } = await card();
  await fireEvent.click(screen.getByText("They are different"));
  await screen.findByText("Turned away: the codes differ");
  expect(decided(daemon)[0]?.params).toMatchObject({ kind: "codes_differ" });
  expect(app.knocks.open).toBeDefined();
});

test("not expected: denies quietly", async () => {
  const { daemon, app } = await card();
  await fireEvent.click(screen.getByText("I did not expect this"));
  await vi.waitFor(() => expect(app.knocks.open).toBeUndefined());
  expect(decided(daemon)[0]?.params).toMatchObject({ kind: "unexpected" });
});

test("a name that looks like a member's is marked", async () => {
  await card({ device_name: "Desκ", resembles: "Desk" });
  expect(screen.getByText(/looks like Desk/)).toBeTruthy();
});

test("a knock that ended elsewhere can no longer be approved", async () => {
  const { daemon } = await card();
  daemon.emit({ event: "knock_ended", id: "k1", device_name: "Sam", outcome: "withdrawn", decided_by: null });
  await screen.findByText("This knock is over");
  expect(screen.queryByTestId("approve")).toBeNull();
});

test("an expired knock says so", async () => {
  await card({ expires_at: Date.now() - 1 });
  expect(screen.getByText("This knock is over")).toBeTruthy();
});

test("a refusal by the daemon shows its sentence and leaves the card", async () => {
  const { daemon } = await card();
  daemon.refuse.set("knock_approve", { code: "not_allowed", message: "Only owners may admit devices here." });
  await fireEvent.click(screen.getByText("They match"));
  await screen.findByText("Only owners may admit devices here.");
  expect(screen.getByTestId("approve")).toBeTruthy();
});

test("a knock that another device passed on says through which", async () => {
  await card({ via: "Desk" });
  expect(screen.getByText(/through Desk/)).toBeTruthy();
});

test("a knock decided on another device says where", async () => {
  const { daemon } = await card();
  daemon.emit({
    event: "knock_ended",
    id: "k1",
    device_name: "Sam’s laptop",
    outcome: "approved",
    decided_by: "Desk",
  });
  await screen.findByText("Desk approved it: Sam’s laptop is now a member of home.");
  expect(screen.queryByTestId("approve")).toBeNull();
});
