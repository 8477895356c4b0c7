import { beforeEach, expect, test } from "vitest";
import type { AnswerEvent, ChatRequest } from "../ipc/bindings";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { Compare } from "./compare.svelte";

const AUTO = { via: "auto", model: null };
let daemon: FakeDaemon;
let compare: Compare;

const done = (more: Partial<Extract<AnswerEvent, { type: "done" }>>): AnswerEvent => ({
  type: "done",
  text: "All of it.",
  model: "m",
  device_id: "d",
  tokens: 4,
  first_token_ms: 100,
  tokens_per_s: 10,
  total_ms: 1_000,
  predicted_first_token_ms: null,
  predicted_total_ms: null,
  finish_reason: "stop",
  ...more,
});

async function ask(count: 2 | 3 = 2): Promise<string[]> {
  compare.draft = " Hello ";
  compare.count = count;
  expect(await compare.ask(AUTO)).toBe(true);
  await settle();
  return compare.columns.map(({ asked }) => asked.id);
}

const best = () => compare.columns.map((column) => compare.best(column));

beforeEach(() => {
  daemon = fakeDaemon();
  compare = new Compare(tauriBackend, (draw) => draw());
});

test("several devices are asked the same, each answer grows by itself, and nothing is kept", async () => {
  const [first = "", second = ""] = await ask();
  const { request, count } = daemon.calls.findLast((call) => call.method === "chat_fan_out")?.params ?? {};
  expect(request as ChatRequest).toMatchObject({ prompt: "Hello", via: "auto", conversation: null });
  expect(count).toBe(2);
  expect(compare.columns.map(({ asked }) => asked.device_name)).toEqual(["Desk", "Attic server"]);
  daemon.answer(second, { type: "delta", text: "Hi" });
  expect(compare.columns.map(({ answer }) => answer.text)).toEqual(["", "Hi"]);
  daemon.answer(first, done({}));
  expect(compare.busy).toBe(true);
  daemon.answer(second, done({}));
  expect(compare.busy).toBe(false);
});

test("what was best is told when all are over, and each thing by itself", async () => {
  const [first = "", second = ""] = await ask();
  daemon.answer(first, done({ first_token_ms: 50, tokens_per_s: 8 }));
  expect(best()).toEqual([[], []]);
  daemon.answer(second, done({ total_ms: 1_200, tokens_per_s: 20 }));
  expect(best()).toEqual([["first", "total"], ["rate"]]);
});

test("a tie has no winner, and neither has who was alone", async () => {
  const [first = "", second = ""] = await ask();
  daemon.answer(first, done({}));
  daemon.answer(second, done({}));
  expect(best()).toEqual([[], []]);
  const [third = "", fourth = ""] = await ask();
  daemon.answer(third, done({}));
  daemon.answer(fourth, { type: "error", code: "unreachable", message: "Gone." });
  expect(best()).toEqual([[], []]);
});

test("an answer that was cancelled is not compared", async () => {
  const [first = "", second = "", third = ""] = await ask(3);
  daemon.answer(first, done({ total_ms: 900 }));
  daemon.answer(second, done({}));
  daemon.answer(third, done({ total_ms: 3, first_token_ms: 1, finish_reason: "cancelled" }));
  expect(best()).toEqual([["total"], [], []]);
});

test("all are cancelled where they run", async () => {
  const [first = "", second = ""] = await ask();
  daemon.answer(first, done({}));
  await compare.stop();
  expect(daemon.calls.filter((call) => call.method === "answer_stop").map(({ params }) => params.id)).toEqual(
    [second],
  );
});

test("a refusal leaves the question where it is", async () => {
  daemon.refuse.set("chat_fan_out", { code: "no_model", message: "No device has a model." });
  compare.draft = "Hello";
  expect(await compare.ask(AUTO)).toBe(false);
  expect(compare.draft).toBe("Hello");
  expect(compare.task.error?.message).toBe("No device has a model.");
});
