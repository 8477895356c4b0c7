import { describe, expect, test, vi } from "vitest";
import type { Connection } from "../ipc/bindings";
import { activities, connections, decision, decisions, RELAY } from "../ipc/fake/trust";
import { home, id, NOW } from "../ipc/fake/world";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { Activity, days } from "./activity.svelte";
import { Connections, flows } from "./connections.svelte";
import { Examination } from "./doctor.svelte";
import { Governance } from "./governance.svelte";
import { Nearby } from "./nearby.svelte";
import { Networks } from "./networks.svelte";

const count = (daemon: { calls: { method: string }[] }, method: string): number =>
  daemon.calls.filter((call) => call.method === method).length;

describe("what flows", () => {
  const at = (sent: number, received: number, since = 1): Connection =>
    ({ device_id: "d", since, sent_bytes: sent, received_bytes: received }) as Connection;

  test("is the difference of two looks, per second", () => {
    const [flow] = flows([at(100, 1000)], [at(300, 3000)], 2000);
    expect([flow?.up, flow?.down]).toEqual([100, 1000]);
  });

  test("is not known at the first look, after a new connection, and never below nothing", () => {
    expect(flows([], [at(1, 1)], 1000)[0]?.up).toBeUndefined();
    expect(flows([at(900, 900)], [at(1, 1, 2)], 1000)[0]?.up).toBeUndefined();
    expect(flows([at(900, 900)], [at(1, 1)], 1000)[0]?.up).toBe(0);
    expect(flows([at(1, 1)], [at(9, 9)], 0)[0]?.up).toBeUndefined();
  });

  test("is asked for every second, only while somebody looks and the window is visible", async () => {
    vi.useFakeTimers();
    try {
      const daemon = fakeDaemon();
      const links = new Connections(tauriBackend);
      const stop = links.watch();
      await vi.advanceTimersByTimeAsync(2100);
      expect(count(daemon, "connection_list")).toBe(3);
      vi.spyOn(document, "hidden", "get").mockReturnValue(true);
      await vi.advanceTimersByTimeAsync(3000);
      expect(count(daemon, "connection_list")).toBe(3);
      vi.restoreAllMocks();
      stop();
      await vi.advanceTimersByTimeAsync(3000);
      expect(count(daemon, "connection_list")).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  test("without a network there is none, and that is no failure", async () => {
    const daemon = fakeDaemon();
    daemon.refuse.set("connection_list", { code: "no_network", message: "No network is active." });
    const links = new Connections(tauriBackend);
    await links.list.refresh();
    expect([links.list.value, links.list.error]).toEqual([[], undefined]);
  });
});

describe("activities", () => {
  test("are told by calendar day, newest first", () => {
    const noon = new Date(2026, 10, 21, 12).getTime();
    const parts = days(activities(noon));
    expect(parts.map((day) => day.entries.length)).toEqual([9, 2, 1]);
    expect(new Date(parts[0]?.start ?? 0).getHours()).toBe(0);
  });

  test("of other networks are left out, and pages go on until enough is found", async () => {
    const world = home();
    const [one] = activities(NOW);
    if (!one) throw new Error("the scene has activities");
    world.activities = Array.from({ length: 450 }, (_, index) => ({
      ...one,
      id: 450 - index,
      network_id: index % 3 === 0 ? id("1") : index % 3 === 1 ? id("2") : null,
    }));
    const daemon = fakeDaemon(world);
    const activity = new Activity(tauriBackend);
    activity.watch(id("1"));
    await activity.list.refresh();
    expect(activity.list.value.entries.every((entry) => entry.network_id !== id("2"))).toBe(true);
    expect(activity.list.value.entries.length).toBeGreaterThanOrEqual(100);
    expect(activity.list.value.more).toBe(true);
    await activity.more();
    await activity.more();
    expect([activity.list.value.entries.length, activity.list.value.more]).toEqual([300, false]);
    expect((await activity.all()).length).toBe(300);
    expect(count(daemon, "activity_list")).toBeGreaterThan(3);
  });

  test("are filtered by the daemon, and read again when something is added while they show", async () => {
    const daemon = fakeDaemon();
    const activity = new Activity(tauriBackend);
    const stop = activity.watch(id("1"));
    activity.filter({ search: " relay ", device: id("e") });
    activity.toggle("connection");
    await activity.list.refresh();
    expect(daemon.calls.at(-1)?.params.filter).toMatchObject({
      kinds: ["connection"],
      device: id("e"),
      search: "relay",
    });
    expect(activity.list.value.entries.map((entry) => entry.text)).toEqual([
      "Attic server was reached through relay.example.org.",
    ]);
    expect(activity.filtered).toBe(true);
    const before = count(daemon, "activity_list");
    activity.changed();
    await settle();
    expect(count(daemon, "activity_list")).toBe(before + 1);
    stop();
    activity.changed();
    await settle();
    expect(count(daemon, "activity_list")).toBe(before + 1);
  });
});

describe("decisions", () => {
  test("tell who admitted whom; one that does not count admits nobody", async () => {
    fakeDaemon();
    const governance = new Governance(tauriBackend);
    governance.look(id("1"));
    await governance.decisions.refresh();
    expect(governance.admission(id("f"))?.author).toBe("Desk");
    expect(governance.admission(id("8"))).toBeUndefined();
    expect(governance.warnings).toEqual([]);
  });

  test("show a removal until everybody has confirmed it", async () => {
    const world = home();
    world.decisions = [
      decision({ id: "x", kind: "removed", at: 5, acknowledged: ["Desk"] }),
      ...decisions(NOW),
    ];
    fakeDaemon(world);
    const governance = new Governance(tauriBackend);
    governance.look(id("1"));
    await governance.decisions.refresh();
    expect(governance.removals(NOW).map((one) => one.text)).toEqual(["Old tablet was removed."]);
    expect(governance.removals(1)).toHaveLength(2);
  });

  test("of one network never show under another", async () => {
    fakeDaemon();
    const governance = new Governance(tauriBackend);
    governance.look(id("1"));
    await governance.decisions.refresh();
    governance.look(id("2"));
    expect(governance.decisions.value).toEqual([]);
  });
});

describe("nearby", () => {
  test("only networks that could be joined are offered", async () => {
    const world = home();
    const [, other] = world.nearby;
    expect(other).toBeUndefined();
    world.nearby = [
      ...world.nearby,
      {
        device_id: id("6"),
        device_name: "A",
        network_id: id("4"),
        network: "family",
        member: false,
        since: 1,
      },
      {
        device_id: id("d"),
        device_name: "Desk",
        network_id: id("1"),
        network: "home",
        member: true,
        since: 1,
      },
    ];
    const daemon = fakeDaemon(world);
    const nearby = new Nearby(tauriBackend);
    await nearby.look();
    expect(nearby.joinable((network) => network === id("1")).map((one) => one.network)).toEqual(["family"]);
    expect(count(daemon, "doctor")).toBe(0);
  });

  test("where nothing is heard, the reason is asked for", async () => {
    fakeDaemon({ ...home(), nearby: [], multicast: false });
    const nearby = new Nearby(tauriBackend);
    await nearby.look();
    expect(nearby.obstacle.value?.cause).toBe("multicast_missing");
  });
});

test("the settings of a network change one by one", async () => {
  const daemon = fakeDaemon();
  const networks = new Networks(tauriBackend);
  await networks.refresh();
  await networks.set(id("1"), { air_gapped: true });
  expect(daemon.calls.find((call) => call.method === "network_settings")?.params).toEqual({
    network: id("1"),
    patch: { relays: null, lookup: null, mdns: null, announce: null, air_gapped: true },
  });
  expect(networks.active?.settings).toMatchObject({ air_gapped: true, announce: true });
  expect(networks.active?.settings.relays[0]).toBe(RELAY);
});

test("switching says where to until it is there, also when it fails", async () => {
  const daemon = fakeDaemon();
  const networks = new Networks(tauriBackend);
  await networks.refresh();
  const switching = networks.use(id("2"));
  expect(networks.switching).toBe(id("2"));
  await switching;
  expect([networks.switching, networks.active?.name]).toEqual([undefined, "studio"]);
  daemon.refuse.set("network_use", { code: "not_member", message: "This device was removed." });
  await expect(networks.use(id("1"))).rejects.toThrow("This device was removed.");
  expect(networks.switching).toBeUndefined();
});

test("an invite that is still good is handed out again", async () => {
  const daemon = fakeDaemon();
  const networks = new Networks(tauriBackend);
  await networks.refresh();
  const first = await networks.plainInvite();
  expect(first.approved).toBe(false);
  expect((await networks.plainInvite()).id).toBe(first.id);
  expect(count(daemon, "invite_create")).toBe(1);
});

describe("the doctor", () => {
  test("names the stages while it runs, and those that were not come to after a failure", async () => {
    fakeDaemon();
    const phone = new Examination(tauriBackend, { kind: "device", id: id("f") });
    const running = phone.run();
    expect(phone.lines.map((line) => [line.name, line.state])).toEqual([
      ["found", "running"],
      ["reachable", "waiting"],
      ["direct", "waiting"],
      ["admitted", "waiting"],
      ["answering", "waiting"],
    ]);
    await running;
    expect(phone.lines.map((line) => line.state)).toEqual([
      "passed",
      "failed",
      "skipped",
      "skipped",
      "skipped",
    ]);
    expect(phone.failures).toBe(1);
  });

  test("of this device goes on to each member, whose stages have the same names", async () => {
    const daemon = fakeDaemon();
    const report = await tauriBackend.commands.doctor(id("d"));
    if (report.status === "error") throw new Error("the scene has a report");
    const twice = { checks: [...report.data.checks, ...report.data.checks], report: "" };
    vi.spyOn(daemon, "call").mockResolvedValue(twice);
    const here = new Examination(tauriBackend, { kind: "device", id: id("d") });
    await here.run();
    expect(here.lines).toHaveLength(10);
  });

  test("shows checks that only a later daemon knows, and its own failure", async () => {
    const daemon = fakeDaemon({ ...home(), multicast: false });
    const here = new Examination(tauriBackend, { kind: "here" });
    await here.run();
    expect(here.lines.map((line) => line.name)).toContain("multicast");
    daemon.refuse.set("doctor", { code: "internal", message: "The doctor is out." });
    await here.run();
    expect([here.busy, here.report.error?.message]).toEqual([false, "The doctor is out."]);
  });

  test("examines an invite by its link", async () => {
    const daemon = fakeDaemon();
    await new Examination(tauriBackend, { kind: "invite", link: "myownllm://join/abc" }).run();
    expect(daemon.calls.at(-1)).toEqual({ method: "doctor", params: { device: "myownllm://join/abc" } });
  });
});

test("connections of the household name their relay", () => {
  const links = connections(home().devices, NOW);
  expect(links.map((link) => [link.device_name, link.path])).toEqual([
    ["Desk", "direct"],
    ["Attic server", "relay"],
  ]);
});
