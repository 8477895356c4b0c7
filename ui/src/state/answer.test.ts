import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { Answer } from "./answer.svelte";

let daemon: FakeDaemon;
let answer: Answer;
let over: ReturnType<typeof vi.fn<() => void>>;
let frames: (() => void)[];

const draw = (): void => frames.splice(0).forEach((frame) => frame());
const say = (text: string): void => daemon.answer("a1", { type: "delta", text });

beforeEach(async () => {
  daemon = fakeDaemon();
  daemon.openStream("answer", "a1");
  over = vi.fn();
  frames = [];
  answer = new Answer(tauriBackend, "a1", over, (frame) => void frames.push(frame));
  answer.follow();
  await settle();
});

const route = {
  type: "route",
  device_id: "d",
  device_name: "Desk",
  model: "m",
  demo: false,
  this_device: false,
  predicted_first_token_ms: 400,
  predicted_total_ms: 2_000,
} as const;
const done = {
  type: "done",
  text: "one two three",
  model: "m",
  device_id: "d",
  tokens: 3,
  first_token_ms: 12,
  tokens_per_s: 30,
  total_ms: 112,
  predicted_first_token_ms: 400,
  predicted_total_ms: 2_000,
  finish_reason: "stop",
} as const;

test("text grows with the events and is shown once per frame", () => {
  daemon.answer("a1", route);
  expect(answer.details?.device_name).toBe("Desk");
  say("one ");
  say("two ");
  expect(answer.text).toBe("");
  expect(frames).toHaveLength(1);
  draw();
  expect(answer.text).toBe("one two ");
  expect(answer.phase).toBe("writing");
  say("three");
  draw();
  expect(answer.text).toBe("one two three");
});

test("thinking is kept apart from the answer", () => {
  daemon.answer("a1", { type: "thinking", text: "hmm" });
  draw();
  expect([answer.phase, answer.thinking, answer.text]).toEqual(["thinking", "hmm", ""]);
});

test("the last event completes the details and ends the subscription", async () => {
  daemon.answer("a1", route);
  daemon.answer("a1", done);
  expect(answer.phase).toBe("done");
  expect(answer.text).toBe(done.text);
  expect(answer.details).toMatchObject({
    device_name: "Desk",
    tokens: 3,
    first_token_ms: 12,
    finish_reason: "stop",
  });
  expect(over).toHaveBeenCalledOnce();
  await settle();
  expect(daemon.readers("answer:a1")).toBe(0);
});

test("after a lost stream it goes on where it stopped: nothing twice, nothing missing", async () => {
  say("one ");
  draw();
  daemon.breakStreams();
  say("two ");
  say("three");
  draw();
  expect(answer.text).toBe("one ");
  answer.follow();
  await settle();
  draw();
  expect(answer.text).toBe("one two three");
});

test("an event seen already is not applied again", async () => {
  say("once");
  answer.follow();
  daemon.breakStreams();
  answer.follow();
  await settle();
  draw();
  expect(answer.text).toBe("once");
});

test("an error keeps what was written and tells the sentence", () => {
  say("half an ans");
  daemon.answer("a1", { type: "error", code: "unreachable", message: "Desk stopped answering." });
  expect([answer.phase, answer.text, answer.error?.message]).toEqual([
    "failed",
    "half an ans",
    "Desk stopped answering.",
  ]);
  expect(over).toHaveBeenCalledOnce();
});

test("a stream that the daemon no longer knows fails; a lost daemon only waits", async () => {
  const gone = new Answer(tauriBackend, "unknown", over);
  gone.follow();
  await settle();
  expect(gone.phase).toBe("failed");
  daemon.follow = () => Promise.reject({ code: "no_daemon", message: "Lost." });
  answer.follow();
  await settle();
  expect(answer.running).toBe(true);
});

const seam = { type: "seam", at: 3, device_id: "l", device_name: "Lap", model: "m2" } as const;

test("what it waits for shows until the next word", () => {
  daemon.answer("a1", route);
  daemon.answer("a1", { type: "waiting", state: "queued", position: 2, percent: null, wait_ms: 9_000 });
  expect(answer.wait).toMatchObject({ state: "queued", position: 2, percent: null });
  expect((answer.wait?.until ?? 0) - Date.now()).toBeGreaterThan(8_000);
  daemon.answer("a1", { type: "waiting", state: "loading", position: null, percent: 40, wait_ms: null });
  expect(answer.wait).toEqual({ state: "loading", position: null, percent: 40, until: null });
  say("one");
  expect(answer.wait).toBeUndefined();
});

test("a seam keeps the text so far and names who goes on", () => {
  daemon.answer("a1", route);
  say("one");
  daemon.answer("a1", { ...seam, reason: "Desk went away." });
  say(" two");
  draw();
  expect(answer.text).toBe("one two");
  expect(answer.details).toMatchObject({ device_name: "Lap", model: "m2" });
  daemon.answer("a1", done);
  expect(answer.details?.seams).toEqual([
    { at: 3, device_id: "l", device_name: "Lap", model: "m2", reason: "Desk went away." },
  ]);
  expect(answer.details).toMatchObject({ predicted_first_token_ms: 400, total_ms: 112 });
});

test("seams of the text it goes on from stay, and none shows twice", async () => {
  answer.detach();
  const earlier = { at: 3, device_id: "l", device_name: "Lap", model: "m2", reason: "Desk went away." };
  answer = new Answer(tauriBackend, "a1", over, (frame) => frame(), "one two", [earlier]);
  answer.follow();
  await settle();
  daemon.answer("a1", { ...seam, reason: "Desk went away." });
  daemon.answer("a1", { ...seam, at: 7, reason: "Lap went away." });
  expect(answer.seams.map((one) => one.at)).toEqual([3, 7]);
});

test.each([
  ["repeats what it goes on from", ["one tw", "o three"]],
  ["begins right after it", ["o three"]],
])("a stream that %s shows every word once", async (_, pieces) => {
  answer.detach();
  answer = new Answer(tauriBackend, "a1", over, (frame) => frame(), "one tw");
  expect(answer.text).toBe("one tw");
  answer.follow();
  await settle();
  for (const piece of pieces) say(piece);
  expect(answer.text).toBe("one two three");
});
