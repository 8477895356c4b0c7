import { fireEvent, screen, within } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { proposal } from "../../ipc/fake/documents";
import { SCENES } from "../../ipc/fake/scenes";
import { home, id, type World } from "../../ipc/fake/world";
import type { App } from "../../state/app.svelte";
import { settle, show, startedApp } from "../../test/fake";
import DevicesSection from "../settings/DevicesSection.svelte";
import NetworksSection from "../settings/NetworksSection.svelte";
import PermissionsSection from "../settings/PermissionsSection.svelte";
import SettingsView from "../views/SettingsView.svelte";
import Sidebar from "../views/Sidebar.svelte";

async function start(world: World = home()): Promise<{ daemon: FakeDaemon; app: App }> {
  const started = await startedApp(world);
  await vi.waitFor(() => {
    const { capabilities, catalogue, sync } = started.app.documents;
    if (!capabilities.list.loaded || !catalogue.told.loaded || !sync.status.loaded)
      throw new Error("loading");
  });
  return started;
}
const called = (daemon: FakeDaemon, method: string): unknown[] =>
  daemon.calls.filter((call) => call.method === method).map((call) => call.params);
const row = (tool: string): HTMLElement => {
  const found = screen.getAllByTestId("permission").find((one) => one.textContent?.includes(tool));
  if (!found) throw new Error(`there is no row for ${tool}`);
  return found;
};
const rule = (tool: string, name: string): HTMLElement => within(row(tool)).getByRole("radio", { name });

async function permissions(world: World = home()): Promise<{ daemon: FakeDaemon; app: App }> {
  const started = await start(world);
  show(started.app, PermissionsSection, {});
  await settle();
  return started;
}

test("each tool shows its rule, the reason and its limits", async () => {
  await permissions();
  expect(rule("Run commands", "Ask").getAttribute("aria-checked")).toBe("true");
  expect(row("Run commands").textContent).toContain("Ask, because Desk set it on Tuesday.");
  expect(row("Read files").textContent).toContain("Only in /home/sam/Documents and /home/sam/src.");
});

test("a rule is set, and one that lets anything happen says so", async () => {
  const { daemon } = await permissions();
  await fireEvent.click(rule("Run commands", "Allow"));
  await vi.waitFor(() =>
    expect(called(daemon, "permission_set")).toEqual([{ tool: "shell", rule: "allow", limits: null }]),
  );
  await screen.findByText(/Any command runs without a question/);
});

test("a refused rule falls back to what holds, with the reason", async () => {
  const { daemon } = await permissions();
  daemon.refuse.set("permission_set", { code: "not_allowed", message: "Only owners may loosen here." });
  await fireEvent.click(rule("Run commands", "Allow"));
  await screen.findByText("Only owners may loosen here.");
  expect(rule("Run commands", "Ask").getAttribute("aria-checked")).toBe("true");
});

test("limits are one entry a line", async () => {
  const { daemon } = await permissions();
  await fireEvent.click(within(row("Run commands")).getByRole("button"));
  await fireEvent.input(screen.getByLabelText("Commands"), {
    target: { value: " git status \n\ncargo check" },
  });
  await fireEvent.click(screen.getByText("Save limits"));
  await vi.waitFor(() =>
    expect(called(daemon, "permission_set")).toEqual([
      {
        tool: "shell",
        rule: "ask",
        limits: { folders: [], commands: ["git status", "cargo check"], hosts: [] },
      },
    ]),
  );
  await screen.findByText("Only git status and cargo check.");
});

test("a rule for an MCP tool begins as ask, and a second one for the same tool is not made", async () => {
  const { daemon } = await permissions();
  await fireEvent.click(screen.getByRole("button", { name: "Add an MCP tool" }));
  const type = (label: string, value: string) =>
    fireEvent.input(screen.getByLabelText(label), { target: { value } });
  await type("Server", "github");
  await type("Tool", "search_code");
  const add = screen.getByRole<HTMLButtonElement>("button", { name: "Add" });
  expect(screen.getByText("There is a rule for this tool already.")).toBeTruthy();
  expect(add.disabled).toBe(true);
  await type("Tool", "open_issue");
  await fireEvent.click(add);
  await vi.waitFor(() =>
    expect(called(daemon, "permission_set")).toEqual([
      { tool: "mcp:github/open_issue", rule: "ask", limits: null },
    ]),
  );
  await vi.waitFor(() => expect(row("open_issue").textContent).toContain("github"));
});

test("a proposal says what would change; keeping and accepting decide it", async () => {
  const { daemon } = await permissions(SCENES.proposed?.());
  const [first, second] = screen.getAllByTestId("proposal");
  expect(first?.textContent).toContain("Desk proposes to allow running commands. It is Ask here.");
  expect(first?.textContent).toContain("Only git status, git diff and cargo check.");
  expect(second?.textContent).toContain(
    "Attic server proposes to ask before fetching from the web. It is Deny here.",
  );
  await fireEvent.click(screen.getByText("Keep Deny"));
  await vi.waitFor(() => expect(called(daemon, "permission_decline")).toEqual([{ id: "p2" }]));
  await fireEvent.click(screen.getByText("Allow here"));
  await vi.waitFor(() => expect(called(daemon, "permission_accept")).toEqual([{ id: "p1" }]));
  await vi.waitFor(() => expect(screen.queryAllByTestId("proposal")).toEqual([]));
  expect(rule("Run commands", "Allow").getAttribute("aria-checked")).toBe("true");
});

test("wider limits are proposed as what they are", async () => {
  const world = home();
  world.documents.proposals = [proposal({ rule: "ask", now: "ask", limits: {} })];
  await permissions(world);
  expect(screen.getByTestId("proposal").textContent).toContain(
    "Desk proposes wider limits for running commands. It stays Ask here.",
  );
  expect(screen.getByText("Widen here")).toBeTruthy();
});

test("trusting a device says what that means", async () => {
  const { daemon } = await permissions();
  await fireEvent.click(screen.getByLabelText("Trust Desk with looser rules"));
  await vi.waitFor(() => expect(called(daemon, "permission_trust")).toEqual([{ device: id("d"), on: true }]));
  await screen.findByText("Desk can make this device less careful without asking you.");
});

test("waiting proposals are counted in the settings and in the sidebar", async () => {
  const { app } = await start(SCENES.proposed?.());
  show(app, SettingsView, { section: "general", item: undefined, part: undefined });
  expect(screen.getByRole("link", { name: "Permissions, 2 rules wait for you" })).toBeTruthy();
  show(app, Sidebar, {});
  await fireEvent.click(screen.getByRole("button", { name: "2 rules wait for you" }));
  expect(app.place.view).toMatchObject({ name: "settings", section: "permissions" });
});

test("a device's page says what it may do here, and changes it", async () => {
  const { app, daemon } = await start();
  show(app, DevicesSection, { item: id("f") });
  const files = await screen.findByLabelText("Files, by Phone");
  expect(files.getAttribute("aria-checked")).toBe("false");
  await fireEvent.click(files);
  await vi.waitFor(() =>
    expect(called(daemon, "scope_set")).toEqual([{ device: id("f"), scope: "files", on: true }]),
  );
  await vi.waitFor(() => expect(files.getAttribute("aria-checked")).toBe("true"));
});

test("a device's page says what it is made of, and how its version differs", async () => {
  const { app } = await start();
  show(app, DevicesSection, { item: id("e") });
  expect(screen.getByText("2 × Tesla P40")).toBeTruthy();
  expect(screen.getByText("24 GB of its own memory each")).toBeTruthy();
  expect(screen.getByText("No microphone")).toBeTruthy();
  expect(screen.getByText("3 records behind")).toBeTruthy();
});

test("an older device is told apart by a sentence", async () => {
  const { app } = await start();
  show(app, DevicesSection, { item: id("f") });
  expect(screen.getByText(/older than 0\.1\.0 here/)).toBeTruthy();
  expect(screen.getByText("It does not tell what it is made of.")).toBeTruthy();
});

test("the switch says what on and off mean, and every device how far it is", async () => {
  const { app, daemon } = await start();
  show(app, NetworksSection, { item: id("1"), part: "sync" });
  await settle();
  const marks = (): string[] =>
    screen.getAllByTestId("sync-mark").map((one) => one.textContent?.trim() ?? "");
  expect(marks()).toEqual(["Equal", "3 records behind", "Knows no documents"]);
  await fireEvent.click(screen.getByLabelText("Keep documents in step"));
  await vi.waitFor(() => expect(called(daemon, "sync_set")).toEqual([{ on: false }]));
  await screen.findByText(/neither leave nor enter this device. Asking models/);
  expect(marks()).toEqual(["Switched off", "Switched off", "Switched off"]);
  await fireEvent.click(screen.getByLabelText("Show the titles of my conversations to this network"));
  await vi.waitFor(() => expect(called(daemon, "catalogue_show")).toEqual([{ on: false }]));
});

test("a device in the sidebar unfolds to the conversations that it shows", async () => {
  const { app } = await start();
  show(app, Sidebar, {});
  expect(screen.queryByLabelText("Conversations that Phone shows")).toBeNull();
  await fireEvent.click(screen.getByLabelText("Conversations that Desk shows"));
  const list = screen.getByRole("list", { name: "Conversations on Desk" });
  expect(within(list).getAllByRole("listitem")[0]?.textContent).toMatch(
    /Tax return, what is still missing.*Paperwork · 3\d minutes ago/s,
  );
  expect(within(list).queryByRole("link")).toBeNull();
  expect(screen.getByText("Titles only. What was said stays on Desk.")).toBeTruthy();
});

test("what is kept private is marked while this device shows titles, and only then", async () => {
  const { app, daemon } = await start();
  show(app, Sidebar, {});
  expect(screen.getAllByLabelText("private")).toHaveLength(1);
  daemon.world.documents.showing = false;
  daemon.emit({ event: "catalogue_changed" });
  await vi.waitFor(() => expect(screen.queryByLabelText("private")).toBeNull());
});
