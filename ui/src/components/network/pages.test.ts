import { fireEvent, screen, within } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import type { Network } from "../../ipc/bindings";
import { SCENES } from "../../ipc/fake/scenes";
import { home, id, type World } from "../../ipc/fake/world";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { settle, show, startedApp } from "../../test/fake";
import type { Part } from "../../state/place.svelte";
import type { App } from "../../state/app.svelte";
import NetworksSection from "../settings/NetworksSection.svelte";
import { asJson, asText } from "./journal";
import { activities } from "../../ipc/fake/trust";

async function page(
  part: Part,
  world: World = home(),
  name = "home",
): Promise<{ daemon: FakeDaemon; app: App }> {
  const started = await startedApp(world);
  const network = started.app.networks.list.value.find((one) => one.name === name);
  show(started.app, NetworksSection, { item: network?.id, part });
  await settle();
  return started;
}

const called = (daemon: FakeDaemon, method: string) =>
  daemon.calls.filter((call) => call.method === method).map((call) => call.params);

const as = (role: Network["role"]): World => {
  const world = home();
  world.networks = world.networks.map((one) => (one.active ? { ...one, role } : one));
  return world;
};

test("members: an owner gives roles, and sees who admitted whom", async () => {
  const { daemon } = await page("members");
  await screen.findByText(/admitted by Desk/);
  const role = screen.getByLabelText("Role of Attic server");
  role.focus();
  await fireEvent.keyDown(role, { key: "Enter" });
  const option = await screen.findByRole("option", { name: /Manager/ });
  expect(option.textContent).toContain("May admit and remove members.");
  await fireEvent.pointerUp(option);
  await vi.waitFor(() =>
    expect(called(daemon, "device_role")).toEqual([{ device: id("e"), role: "manager" }]),
  );
});

test("members: who is only a member changes nothing", async () => {
  await page("members", as("member"));
  expect(screen.queryByLabelText("Role of Attic server")).toBeNull();
  expect(screen.queryByLabelText("Remove Attic server")).toBeNull();
});

test("members: a removal says what is lost, then where it has arrived", async () => {
  const { daemon, app } = await page("members");
  await fireEvent.click(screen.getByLabelText("Remove Attic server"));
  await screen.findByText(/cut off at once, in the middle of an answer too/);
  expect(called(daemon, "device_remove")).toEqual([]);
  await fireEvent.click(screen.getByRole("button", { name: "Remove this device" }));
  await screen.findByText("Attic server was removed.");
  const [removal] = screen.getAllByTestId("removal");
  if (!removal) throw new Error("the removal shows");
  expect(within(removal).getByText("Cut off on Desk.")).toBeTruthy();
  expect(within(removal).getByText(/Waiting for Phone/)).toBeTruthy();
  const made = daemon.world.decisions[0];
  if (!made) throw new Error("the removal is a decision");
  Object.assign(made, { acknowledged: ["Desk", "Phone"], waiting: [] });
  daemon.emit({ event: "decisions_changed" });
  await screen.findByText("Every other device has confirmed it.");
  expect(app.governance.decisions.value[0]?.waiting).toEqual([]);
});

test("governance: an owner opens the network only after reading what that means", async () => {
  const { daemon } = await page("governance");
  await fireEvent.click(screen.getByRole("radio", { name: "Every member may let devices in" }));
  await screen.findByText(/can let others in, at once and without asking you/);
  expect(called(daemon, "network_kind")).toEqual([]);
  await fireEvent.click(screen.getByRole("button", { name: "Change it" }));
  await vi.waitFor(() =>
    expect(called(daemon, "network_kind")).toEqual([{ network: id("1"), kind: "open" }]),
  );
});

test("governance: what does not count is marked with the reason, and lies are shown first", async () => {
  await page("governance", SCENES.lied?.());
  expect(await screen.findAllByText(/signed two different records/)).toHaveLength(2);
  expect(screen.getByText(/remove that device and let it knock again/)).toBeTruthy();
  const row = screen.getByText("Kitchen radio was admitted as a member.").closest("[data-testid=decision]");
  expect(row?.textContent).toContain("does not count");
  expect(row?.textContent).toContain("only owners and managers admit");
  expect(row?.textContent).toContain("Signed by Phone");
});

test("governance: a member reads, and cannot change who may admit", async () => {
  await page("governance", as("member"));
  expect(
    screen.getByRole<HTMLButtonElement>("radio", { name: "Every member may let devices in" }).disabled,
  ).toBe(true);
  expect(screen.getByText("Only an owner of the network can change this.")).toBeTruthy();
});

test("relays: the order, what is removed and what is added go to all members", async () => {
  const { daemon } = await page("relays");
  const sent = (): unknown =>
    (called(daemon, "network_settings").at(-1)?.patch as { relays: string[] } | undefined)?.relays;
  const [first, second] = ["https://relay.example.org/", "https://relay.studio.example/"];
  await fireEvent.click(screen.getByLabelText("Prefer relay.studio.example more"));
  await vi.waitFor(() => expect(sent()).toEqual([second, first]));
  await vi.waitFor(() =>
    expect(screen.getByLabelText<HTMLButtonElement>("Prefer relay.example.org more").disabled).toBe(false),
  );
  await fireEvent.input(screen.getByLabelText("Another relay"), {
    target: { value: " https://relay.new.example " },
  });
  await fireEvent.click(screen.getByRole("button", { name: "Add" }));
  await vi.waitFor(() => expect(sent()).toEqual([second, first, "https://relay.new.example"]));
});

test("relays: a refused address keeps what was typed, with the reason", async () => {
  const { daemon } = await page("relays");
  daemon.refuse.set("network_settings", {
    code: "invalid_argument",
    message: "A relay starts with https://.",
  });
  await fireEvent.input(screen.getByLabelText("Another relay"), { target: { value: "relay" } });
  await fireEvent.click(screen.getByRole("button", { name: "Add" }));
  await screen.findByText("A relay starts with https://.");
  expect(screen.getByLabelText<HTMLInputElement>("Another relay").value).toBe("relay");
});

test("relays: one switch keeps everything on the local network, and says so", async () => {
  const { daemon } = await page("relays");
  expect(screen.queryByTestId("silent")).toBeNull();
  await fireEvent.click(screen.getByLabelText("Stay on the local network"));
  await vi.waitFor(() =>
    expect(called(daemon, "network_settings")[0]?.patch).toMatchObject({ air_gapped: true }),
  );
});

test("relays: without relay and lookup nothing contacts the internet", async () => {
  const world = home();
  world.networks.forEach((one) => (one.settings.relays = []));
  await page("relays", world);
  expect(screen.getByTestId("silent").textContent).toContain("Nothing contacts the internet");
});

test("relays: who is no owner only reads", async () => {
  await page("relays", as("manager"));
  expect(screen.getByLabelText<HTMLButtonElement>("Stay on the local network").disabled).toBe(true);
  expect(screen.queryByLabelText("Remove relay.example.org")).toBeNull();
  expect(screen.queryByLabelText("Another relay")).toBeNull();
});

test("connections: the picture and the table tell the same", async () => {
  const { daemon } = await page("connections");
  const graph = await screen.findByTestId("graph");
  expect(graph.querySelectorAll("line[data-path=direct]")).toHaveLength(1);
  expect(graph.querySelector("line[data-path=relay]")?.getAttribute("stroke-dasharray")).toBeTruthy();
  expect(graph.textContent).toContain("through relay.example.org");
  const row = screen.getByRole("rowheader", { name: "Desk" }).closest("tr");
  expect(row?.textContent).toMatch(/direct.*192\.168\.1\.40.*4 ms.*answers 1 request/s);
  expect(screen.getByRole("rowheader", { name: "Phone" }).closest("tr")?.textContent).toContain(
    "Not seen for 3 hours.",
  );
  expect(called(daemon, "connection_list").length).toBeGreaterThan(0);
});

test("pages that need the devices offer to switch where the network is not active", async () => {
  const { daemon } = await page("members", home(), "studio");
  await fireEvent.click(screen.getAllByRole("button", { name: /Switch to/ })[0] as HTMLElement);
  await vi.waitFor(() => expect(called(daemon, "network_use")).toEqual([{ network: id("2") }]));
});

test("a network that removed this device offers to knock again and to forget it", async () => {
  const { daemon, app } = await page("status", SCENES.removed?.(), "grandma");
  expect(screen.getByText("Grandma’s PC removed this device yesterday.")).toBeTruthy();
  await fireEvent.click(screen.getByRole("button", { name: "Knock again" }));
  expect(app.place.dialog).toBe("join");
  await fireEvent.click(screen.getByRole("button", { name: "Forget…" }));
  await fireEvent.click(await screen.findByRole("button", { name: "Forget this network" }));
  await vi.waitFor(() => expect(called(daemon, "network_forget")).toEqual([{ network: id("3") }]));
});

test("a network that removed this device is knocked at where a device nearby announces it", async () => {
  const world = SCENES.removed?.() ?? home();
  world.nearby = [
    {
      device_id: id("4"),
      device_name: "Grandma’s PC",
      network_id: id("3"),
      network: "grandma",
      member: false,
      since: 1,
    },
  ];
  const { daemon } = await page("status", world, "grandma");
  await fireEvent.click(screen.getByRole("button", { name: "Knock again" }));
  await vi.waitFor(() => expect(called(daemon, "nearby_join")).toEqual([{ device: id("4") }]));
});

test("activity: filters go to the daemon, and nothing found says so", async () => {
  const { daemon } = await page("activity");
  expect(await screen.findAllByTestId("activity")).toHaveLength(12);
  await fireEvent.click(screen.getByRole("button", { name: "Refused" }));
  await vi.waitFor(() => expect(screen.getAllByTestId("activity")).toHaveLength(2));
  await fireEvent.input(screen.getByLabelText("Search activities"), { target: { value: "xyz" } });
  await screen.findByText("Nothing fits");
  await fireEvent.click(screen.getByRole("button", { name: "Show everything" }));
  await vi.waitFor(() => expect(screen.getAllByTestId("activity")).toHaveLength(12));
  expect(called(daemon, "activity_list")[1]?.filter).toMatchObject({ kinds: ["security"] });
});

test("activity as a file: JSON that parses, and text with one line for each", () => {
  const entries = activities(Date.UTC(2026, 10, 21, 12)).slice(0, 2);
  expect((JSON.parse(asJson(entries)) as { at: string }[])[0]?.at).toBe("2026-11-21T11:59:00.000Z");
  expect(asText(entries).trimEnd().split("\n")[0]).toBe(
    "2026-11-21T11:59:00.000Z\tlending\tDesk\tDesk answers a request of this device with qwen3-8b.",
  );
});
