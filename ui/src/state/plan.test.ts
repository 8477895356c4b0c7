import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ChatRequest } from "../ipc/bindings";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon } from "../test/fake";
import { questionOf } from "./chat.svelte";
import { Plan } from "./plan.svelte";

let daemon: FakeDaemon;
let plan: Plan;

beforeEach(() => {
  vi.useFakeTimers();
  daemon = fakeDaemon();
  plan = new Plan(tauriBackend);
});
afterEach(() => void vi.useRealTimers());

const asked = (): unknown[] =>
  daemon.calls
    .filter((call) => call.method === "chat_plan")
    .map(({ params }) => (params.request as ChatRequest).prompt);
const ask = (prompt: string): void => plan.ask(questionOf(prompt, { via: "auto", model: null }));

test("the daemon is asked once after the last key, and says who would answer and who not", async () => {
  for (const text of ["H", "He", "Hel"]) ask(text);
  await vi.advanceTimersByTimeAsync(300);
  expect(asked()).toEqual(["Hel"]);
  expect(plan.told?.chosen).toMatchObject({ device_name: "Desk", model: "qwen3-8b", usable: true });
  expect(plan.told?.alternatives.at(-1)).toMatchObject({ usable: false });
});

test("an empty composer has no plan, and a late answer does not bring one back", async () => {
  ask("Hello");
  await vi.advanceTimersByTimeAsync(250);
  plan.ask(undefined);
  await vi.advanceTimersByTimeAsync(500);
  expect(plan.told).toBeUndefined();
});

test("a refusal is told in the daemon's words, a lost daemon is not", async () => {
  daemon.refuse.set("chat_plan", { code: "no_model", message: "No device has a model." });
  ask("Hello");
  await vi.advanceTimersByTimeAsync(300);
  expect(plan.error?.message).toBe("No device has a model.");
  daemon.refuse.set("chat_plan", { code: "no_daemon", message: "Gone." });
  ask("Hello?");
  await vi.advanceTimersByTimeAsync(300);
  expect(plan.error).toBeUndefined();
});
