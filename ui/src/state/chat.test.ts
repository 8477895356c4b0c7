import { beforeEach, expect, test, vi } from "vitest";
import type { ChatRequest } from "../ipc/bindings";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { Chat } from "./chat.svelte";

const AUTO = { via: "auto", model: null };
let daemon: FakeDaemon;
let chat: Chat;
let opened: ReturnType<typeof vi.fn<(id: string) => void>>;

beforeEach(() => {
  daemon = fakeDaemon();
  opened = vi.fn();
  chat = new Chat(tauriBackend, opened, (draw) => draw());
});

const asked = (): ChatRequest =>
  daemon.calls.findLast((call) => call.method === "chat_start")?.params.request as ChatRequest;

/** Ends the running answer as the daemon does: kept first, then told. */
async function finish(text: string): Promise<void> {
  const id = chat.answer?.id ?? "";
  const talk = daemon.world.conversations.find((one) => one.summary.id === chat.id);
  const last = talk?.messages.at(-1);
  if (talk && last) {
    last.text = text;
    talk.summary.answering = null;
  }
  const { device_id } = { device_id: "d" };
  daemon.answer(id, {
    type: "done",
    text,
    model: "m",
    device_id,
    tokens: 1,
    first_token_ms: 1,
    tokens_per_s: 1,
    total_ms: 2,
    predicted_first_token_ms: null,
    predicted_total_ms: null,
    finish_reason: "stop",
  });
  await settle();
}

test("a first question makes a conversation, shows at once, and streams its answer", async () => {
  const sending = chat.send("  Hello  ", AUTO);
  expect(chat.messages.map((message) => message.text)).toEqual(["Hello"]);
  expect(await sending).toBe(true);
  expect(opened).toHaveBeenCalledWith(chat.id);
  expect(asked()).toMatchObject({ prompt: "Hello", via: "auto", conversation: chat.id, replace_from: null });
  await settle();
  daemon.answer(chat.answer?.id ?? "", { type: "delta", text: "Hi" });
  expect(chat.answer?.text).toBe("Hi");
  expect(chat.busy).toBe(true);
  await finish("Hi there");
  expect(chat.answer).toBeUndefined();
  expect(chat.messages.map((message) => message.text)).toEqual(["Hello", "Hi there"]);
});

test("a refused question goes back to the composer with the reason", async () => {
  daemon.refuse.set("chat_start", { code: "no_model", message: "No device has a model." });
  expect(await chat.send("Hello", AUTO)).toBe(false);
  expect(chat.messages).toEqual([]);
  expect(chat.draft).toBe("Hello");
  expect(chat.error?.message).toBe("No device has a model.");
});

test("answering again replaces from the question, on the device that was chosen", async () => {
  await chat.open("c1");
  const answer = chat.messages[3];
  if (!answer) throw new Error("the scene has four messages");
  await chat.regenerate(answer, { via: "e".repeat(64), model: null });
  expect(asked()).toMatchObject({
    prompt: "Does it work for HEIC too?",
    replace_from: "m3",
    via: "e".repeat(64),
  });
  expect(chat.messages.map((message) => message.author)).toEqual(["person", "model", "person"]);
});

test("an edited question replaces itself and all after it", async () => {
  await chat.open("c1");
  await chat.send("For PNG?", AUTO, "m1");
  expect(asked()).toMatchObject({ prompt: "For PNG?", replace_from: "m1" });
  expect(chat.messages.map((message) => message.text)).toEqual(["For PNG?"]);
});

test("opening a conversation that is being answered follows the answer from its start", async () => {
  await chat.open("c2");
  await chat.send("More", AUTO);
  await settle();
  const id = chat.answer?.id ?? "";
  daemon.answer(id, { type: "delta", text: "Soup " });
  await chat.open("c1");
  expect(chat.answer).toBeUndefined();
  daemon.answer(id, { type: "delta", text: "first" });
  await chat.open("c2");
  await settle();
  expect(chat.answer?.text).toBe("Soup first");
  expect(chat.messages.at(-1)?.author).toBe("person");
});

test("stop cancels the work where it runs", async () => {
  await chat.send("Hello", AUTO);
  await chat.stop();
  expect(daemon.calls.at(-1)).toMatchObject({ method: "answer_stop", params: { id: chat.answer?.id } });
});

test("a conversation opened late does not replace the one opened after it", async () => {
  const first = chat.open("c1");
  const second = chat.open("c2");
  await Promise.all([first, second]);
  expect(chat.id).toBe("c2");
});

test("drafts stay with their conversation", async () => {
  await chat.open("c1");
  chat.draft = "not yet";
  await chat.open("c2");
  expect(chat.draft).toBe("");
  await chat.open("c1");
  expect(chat.draft).toBe("not yet");
});

test("a second question waits for the first answer", async () => {
  await chat.send("One", AUTO);
  expect(await chat.send("Two", AUTO)).toBe(false);
  expect(daemon.calls.filter((call) => call.method === "chat_start")).toHaveLength(1);
});

test("an answer that ended early is gone on with: its text stays and grows", async () => {
  await chat.open("c1");
  const last = chat.messages.at(-1);
  if (!last) throw new Error("c1 has messages");
  const count = chat.messages.length;
  await chat.goOn(last, { via: "auto", model: "qwen3-8b" });
  expect(asked()).toMatchObject({ prompt: "", model: "qwen3-8b", continue_message: last.id });
  expect(chat.messages).toHaveLength(count - 1);
  expect(chat.answer?.text).toBe(last.text);
  await settle();
  daemon.answer(chat.answer?.id ?? "", { type: "delta", text: " And more." });
  expect(chat.answer?.text).toBe(`${last.text} And more.`);
});

test("a refused go-on leaves the answer where it is and says why", async () => {
  await chat.open("c1");
  const before = chat.messages;
  daemon.refuse.set("chat_start", { code: "no_model", message: "No device has qwen3-8b." });
  await chat.goOn(before.at(-1) as (typeof before)[number], AUTO);
  expect(chat.messages).toBe(before);
  expect(chat.error?.message).toBe("No device has qwen3-8b.");
});
