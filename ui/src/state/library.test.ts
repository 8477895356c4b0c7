import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { model } from "../ipc/fake/world";
import { fakeDaemon, settle } from "../test/fake";
import { holders, idle, Library } from "./library.svelte";

let daemon: FakeDaemon;
let library: Library;

beforeEach(async () => {
  daemon = fakeDaemon();
  library = new Library(tauriBackend);
  await library.refresh();
});

const VARIANT = "qwen3-14b-q4_k_m";
const started = (): unknown[] =>
  daemon.calls.filter((call) => call.method === "model_get_start").map(({ params }) => params);

async function begin(from: string | null = null) {
  await library.start(VARIANT, from);
  await settle();
  const get = library.get(VARIANT);
  if (!get) throw new Error("it was started");
  return get;
}

/** The id of the newest download, by the fake's own count. */
const stream = (): string => {
  for (let at = 200; at > 99; at--) if (daemon.readers(`model_get:g${at}`) > 0) return `g${at}`;
  throw new Error("nobody follows a download");
};

const progress = (bytes: number, rate: number) =>
  ({
    type: "progress",
    variant: VARIANT,
    source: "Desk",
    state: "downloading",
    bytes,
    total: 9_000_000_000,
    rate,
  }) as const;

test("a download tells how far it is, from where, and how long it takes", async () => {
  const get = await begin("d".repeat(64));
  expect(started()).toEqual([{ model: VARIANT, from: "d".repeat(64) }]);
  daemon.get(stream(), progress(4_500_000_000, 45_000_000));
  expect(get).toMatchObject({ phase: "downloading", percent: 50, source: "Desk", left: 100 });
});

test("paused it keeps what has arrived, and goes on from there", async () => {
  const get = await begin();
  const id = stream();
  daemon.get(id, progress(1_000, 10));
  await get.pause();
  await settle();
  expect(get.phase).toBe("paused");
  expect(get.running).toBe(false);
  expect(daemon.readers(`model_get:${id}`)).toBe(0);
  await library.start(VARIANT, null);
  expect(library.gets).toHaveLength(1);
  expect(started()).toHaveLength(2);
});

test("a failure is told in the daemon's words, a second try clears it", async () => {
  const get = await begin();
  daemon.get(stream(), { type: "error", code: "disk_full", message: "The disk has no room." });
  expect(get.error?.message).toBe("The disk has no room.");
  await library.start(VARIANT, "hub");
  expect(get.error).toBeUndefined();
});

test("one that is refused at once fails with the reason", async () => {
  daemon.refuse.set("model_get_start", { code: "not_found", message: "No such model." });
  const get = await begin();
  expect(get.phase).toBe("failed");
  expect(get.error?.message).toBe("No such model.");
});

test("what arrived leaves the downloads and stands on the shelf", async () => {
  await begin();
  daemon.get(stream(), {
    type: "done",
    variant: VARIANT,
    model: VARIANT,
    path: "",
    sha256: "",
    files: [],
  });
  await settle();
  expect(library.gets).toEqual([]);
  expect(daemon.calls.at(-1)?.method).toBe("model_shelf");
});

test("what is to know about its source stays until somebody has seen it", async () => {
  const get = await begin("d".repeat(64));
  const note = "Nobody but Desk vouches for this file.";
  daemon.get(stream(), {
    type: "done",
    variant: VARIANT,
    model: VARIANT,
    path: "",
    sha256: "",
    files: [],
    note,
  });
  await settle();
  expect(get).toMatchObject({ phase: "done", note });
  expect(library.gets).toEqual([get]);
  library.forget(get);
  expect(library.gets).toEqual([]);
});

test("after a lost line a download goes on being followed, without a second start", async () => {
  const get = await begin();
  const id = stream();
  daemon.breakStreams();
  library.resume();
  await settle();
  daemon.get(id, progress(9, 1));
  expect(get.bytes).toBe(9);
  expect(started()).toHaveLength(1);
});

test("a download that was begun elsewhere is followed here, and shows once", async () => {
  const { shelf } = daemon.world.library;
  const [first] = shelf.models;
  if (!first) throw new Error("the scene has models");
  const coming = { ...first, id: VARIANT, variant: VARIANT, state: "downloading", percent: 3 } as const;
  daemon.world.library.shelf = { ...shelf, models: [...shelf.models, coming] };
  await library.refresh();
  await settle();
  expect(library.get(VARIANT)?.running).toBe(true);
  expect(library.models.some((one) => one.id === VARIANT)).toBe(false);
});

test("pin, load and unload show what the daemon answers", async () => {
  const of = (id: string) => library.models.find((one) => one.id === id);
  const big = of("gemma-3-27b-it-Q4_K_M");
  if (!big) throw new Error("the scene has it");
  expect(idle(big)).toBe(true);
  await library.pin(big, true);
  expect(of(big.id)).toMatchObject({ pinned: true });
  expect(idle({ ...big, pinned: true })).toBe(false);
  await library.load(big);
  expect(of(big.id)?.state).toBe("ready");
  await library.unload(big);
  expect(of(big.id)?.state).toBe("available");
});

test("the catalogue is read when somebody looks, and searched by the daemon", async () => {
  expect(daemon.calls.some((call) => call.method === "model_search")).toBe(false);
  library.find("vision");
  await vi.waitFor(() => expect(library.families.value.map((one) => one.id)).toEqual(["gemma-3"]));
  await library.source(" https://models.example.org/list.json ");
  expect(library.shelf.value.catalogue.url).toBe("https://models.example.org/list.json");
  await library.source("");
  expect(library.shelf.value.catalogue.url).toBeNull();
});

test("other devices that have the files are found by their name, whole and sound ones only", () => {
  const [laptop, desk] = daemon.world.devices;
  if (!laptop || !desk) throw new Error("the scene has devices");
  const all = [
    model("Qwen3-14B-Q4_K_M", desk),
    model("Qwen3-14B-Q4_K_M", laptop),
    model("Qwen3-14B-Q8_0", desk),
    model("qwen3-14b-q4_k_m", desk, { state: "downloading" }),
  ];
  expect(holders(VARIANT, all)).toEqual([all[0]]);
});
