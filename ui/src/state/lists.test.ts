import { beforeEach, describe, expect, test } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon } from "../test/fake";
import { Choice } from "./choice.svelte";
import { Compute } from "./compute.svelte";
import { age, Conversations } from "./conversations.svelte";
import { Devices } from "./devices.svelte";
import { format, parse } from "./place.svelte";

let daemon: FakeDaemon;
beforeEach(() => (daemon = fakeDaemon()));

describe("conversations", () => {
  test("are parted by calendar days", () => {
    const noon = new Date(2026, 10, 21, 12).getTime();
    expect(age(new Date(2026, 10, 21, 0, 1).getTime(), noon)).toBe("today");
    expect(age(new Date(2026, 10, 20, 23, 59).getTime(), noon)).toBe("yesterday");
    expect(age(new Date(2026, 10, 15).getTime(), noon)).toBe("week");
    expect(age(new Date(2026, 10, 1).getTime(), noon)).toBe("month");
    expect(age(new Date(2026, 1, 1).getTime(), noon)).toBe("older");
  });

  test("a deleted one keeps its place until it is undone or settled", async () => {
    const list = new Conversations(tauriBackend);
    await list.list.refresh();
    const [first] = list.list.value;
    if (!first) throw new Error("the scene has conversations");
    await list.delete(first);
    const rows = (): { id: string; deleted: boolean }[] =>
      list
        .parts(Date.now())
        .filter((part) => part.folder === null)
        .flatMap((part) => part.rows.map((row) => ({ id: row.summary.id, deleted: row.deleted })));
    expect(rows()[0]).toEqual({ id: first.id, deleted: true });
    await list.restore(first.id);
    expect(rows()[0]).toEqual({ id: first.id, deleted: false });
    await list.delete(first);
    list.settle(first.id);
    expect(rows().some((row) => row.id === first.id)).toBe(false);
  });

  test("are searched by the daemon", async () => {
    const list = new Conversations(tauriBackend);
    list.setSearch(" boat ");
    await list.list.refresh();
    expect(daemon.calls.at(-1)?.params).toEqual({ search: "boat" });
    expect(list.list.value.map((one) => one.title)).toEqual(["Names for a boat"]);
  });

  test("without a network there are none, and that is no failure", async () => {
    daemon.refuse.set("conversation_list", { code: "no_network", message: "No network is active." });
    const list = new Conversations(tauriBackend);
    await list.list.refresh();
    expect([list.list.value, list.list.error]).toEqual([[], undefined]);
  });
});

describe("the choice of a route", () => {
  let choice: Choice;
  let devices: Devices;
  const desk = "d".repeat(64);

  beforeEach(async () => {
    devices = new Devices(tauriBackend);
    const compute = new Compute(tauriBackend);
    await Promise.all([devices.list.refresh(), compute.models.refresh()]);
    choice = new Choice(devices, compute);
  });

  test("tells who may read the message", () => {
    expect(choice.readers).toEqual([null, "Desk", "Attic server"]);
    choice.model = "llama-3.3-70b";
    expect(choice.readers).toEqual(["Desk"]);
    choice.choose(desk);
    expect(choice.readers).toEqual(["Desk"]);
    choice.choose("local");
    expect(choice.readers).toEqual([null]);
  });

  test("forgets a model that the new route does not have", () => {
    choice.model = "llama-3.3-70b";
    choice.choose("local");
    expect(choice.target).toMatchObject({ via: "local", model: null });
  });

  test("a rule for automatic turns automatic on, and the next window has it", () => {
    choice.choose(desk);
    choice.prefer({ require_gpu: true });
    choice.prefer({ family: "qwen3" });
    expect(choice.via).toBe("auto");
    const next = new Choice(devices, new Compute(tauriBackend));
    expect(next.target.policy).toEqual({ require_gpu: true, family: "qwen3" });
    expect(choice.families).toEqual(["llama", "qwen3"]);
  });

  test("is kept for the next window, and dropped when its device is no longer a member", async () => {
    choice.choose(desk);
    const next = new Choice(devices, new Compute(tauriBackend));
    expect(next.via).toBe(desk);
    daemon.world.devices = daemon.world.devices.filter((device) => device.device_id !== desk);
    await devices.list.refresh();
    next.check();
    expect(next.via).toBe("auto");
  });
});

test("a key for an engine is sent only when there is one", async () => {
  const compute = new Compute(tauriBackend);
  await compute.add(" http://127.0.0.1:8080 ", null, "");
  const spec = daemon.calls.find((call) => call.method === "engine_add")?.params.spec;
  expect(spec).toEqual({ url: "http://127.0.0.1:8080", kind: null, key: null });
});

test("addresses name views, and unknown ones lead to the chat", () => {
  for (const view of [
    { name: "chat", conversation: undefined },
    { name: "chat", conversation: "a/b" },
    { name: "settings", section: "networks", item: undefined },
    { name: "settings", section: "devices", item: "abc" },
  ] as const) {
    expect(parse(format(view))).toEqual(view);
  }
  expect(parse("#/nowhere")).toEqual({ name: "chat", conversation: undefined });
  expect(parse("#/settings/nowhere")).toMatchObject({ section: "general" });
});
