import { beforeEach, expect, test } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { firstRun } from "../ipc/fake/world";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { clockOf, Lending, minutesOf, type Pause, UNLIMITED, Usage } from "./lending.svelte";

let daemon: FakeDaemon;
let lending: Lending;

beforeEach(async () => {
  daemon = fakeDaemon();
  lending = new Lending(tauriBackend);
  await lending.told.refresh();
});

const last = () => daemon.calls.at(-1);

test.each<[Pause, number | null, boolean]>([
  ["now", null, true],
  ["after", null, false],
  ["hour", 3600, false],
])("a pause %s asks for %s seconds, at once: %s", async (how, seconds, atOnce) => {
  await lending.pause(how);
  expect(last()).toEqual({ method: "lend_pause", params: { seconds, atOnce } });
  expect(lending.paused).toBe(true);
  await lending.resume();
  expect(lending.paused).toBe(false);
});

test("a changed rule leaves the others as they were", async () => {
  const before = lending.told.value?.rules;
  await lending.set({ only_idle: true });
  expect(last()?.params.rules).toEqual({ ...before, only_idle: true });
});

test("rules of a member end with the last limit", async () => {
  const phone = "f".repeat(64);
  expect(lending.of(phone, "Phone")).toMatchObject({ concurrent: 1, tokens_per_day: 20_000 });
  await lending.setMember({ device_id: phone, device_name: "Phone", ...UNLIMITED });
  expect(lending.told.value?.members).toEqual([]);
  expect(lending.of(phone, "Phone")).toEqual({ device_id: phone, device_name: "Phone", ...UNLIMITED });
});

test("without a network there is nothing to lend, and that is no error", async () => {
  fakeDaemon(firstRun());
  const none = new Lending(tauriBackend);
  await none.told.refresh();
  expect(none.told.error).toBeUndefined();
  expect(none.told.value).toBeUndefined();
  expect(none.paused).toBe(false);
});

test("times of a day are written and read", () => {
  expect([clockOf(0), clockOf(8 * 60 + 5), clockOf(1439)]).toEqual(["00:00", "08:05", "23:59"]);
  expect([
    minutesOf("08:05"),
    minutesOf("23:59"),
    minutesOf("24:00"),
    minutesOf("9:60"),
    minutesOf(""),
  ]).toEqual([485, 1439, null, null, null]);
});

test("usage is read for the chosen days, and again only if somebody has looked", async () => {
  const usage = new Usage(tauriBackend);
  usage.changed();
  await settle();
  expect(daemon.calls.some((call) => call.method === "usage")).toBe(false);
  usage.look(7);
  await settle();
  const since = daemon.calls.findLast((call) => call.method === "usage")?.params.since as number;
  expect(Math.round((Date.now() - since) / 86_400_000)).toBe(7);
  expect(usage.told.value?.borrowed.requests).toBeGreaterThan(0);
});
