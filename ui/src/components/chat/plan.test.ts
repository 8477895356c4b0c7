import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { ChatRequest } from "../../ipc/bindings";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { home } from "../../ipc/fake/world";
import type { App } from "../../state/app.svelte";
import { settle, show, startedApp } from "../../test/fake";
import ChatView from "../views/ChatView.svelte";

let daemon: FakeDaemon;
let app: App;

beforeEach(async () => {
  localStorage.clear();
  ({ daemon, app } = await startedApp());
});

const request = (method = "chat_plan"): ChatRequest | undefined =>
  daemon.calls.findLast((call) => call.method === method)?.params.request as ChatRequest | undefined;
const write = (value: string) => fireEvent.input(screen.getByLabelText("Message"), { target: { value } });

async function pick(role: string, name: RegExp): Promise<void> {
  const trigger = screen.getByTestId("route");
  trigger.focus();
  await fireEvent.keyDown(trigger, { key: "Enter" });
  const item = await screen.findByRole(role, { name });
  await fireEvent.pointerUp(item);
  await fireEvent.click(item);
  await settle();
}

test("the line under the composer says where it would run, and unfolds why and what else", async () => {
  show(app, ChatView, { conversation: undefined });
  await write("Hello");
  expect((await screen.findByText(/first word in about 0.6 s/)).textContent).toMatch(
    /Desk.*qwen3-8b.*done in about 4.8 s/s,
  );
  await fireEvent.click(screen.getByRole("button", { name: "Why there?" }));
  const rows = screen.getAllByTestId("planned");
  expect(rows[0]?.textContent).toContain("chosen");
  expect(rows.at(-1)?.textContent).toContain("The file is damaged.");
  await fireEvent.click(screen.getByRole("button", { name: "Use qwen3-8b on Attic server" }));
  expect(app.choice.target).toMatchObject({ via: "e".repeat(64), model: "qwen3-8b" });
});

test("why nothing can answer stands in place of the plan", async () => {
  ({ app } = await startedApp({ ...home(), models: [] }));
  show(app, ChatView, { conversation: undefined });
  await write("Hello");
  await screen.findByText(/^No reachable device can answer this\./);
});

test("the rules for automatic go with plan and question, and are kept", async () => {
  show(app, ChatView, { conversation: undefined });
  await pick("menuitemcheckbox", /^This device, if it can/);
  await write("Hello");
  await vi.waitFor(() => expect(request()?.policy).toMatchObject({ prefer: "here" }));
  expect(screen.getByTestId("route").textContent).toContain("your rules");
  await fireEvent.keyDown(screen.getByLabelText("Message"), { key: "Enter" });
  await vi.waitFor(() => expect(request("chat_start")?.policy).toMatchObject({ prefer: "here" }));
  expect(JSON.parse(localStorage.getItem("myownllm.policy") ?? "")).toEqual({ prefer: "here" });
});

test("what an answer waits for stands in its place, with position and time", async () => {
  show(app, ChatView, { conversation: undefined });
  await write("Hello");
  await fireEvent.keyDown(screen.getByLabelText("Message"), { key: "Enter" });
  const answer = await screen.findByTestId("answer");
  const id = app.chat.answer?.id ?? "";
  daemon.answer(id, { type: "waiting", state: "queued", position: 2, percent: null, wait_ms: 9_000 });
  await within(answer).findByText("Waiting on Desk: 2 go first, about 9 s");
  daemon.answer(id, { type: "waiting", state: "prefill", position: null, percent: 60, wait_ms: null });
  await within(answer).findByText("Desk reads your message, 60 %");
  daemon.answer(id, { type: "delta", text: "Half a" });
  daemon.answer(id, { type: "waiting", state: "reconnecting", position: null, percent: null, wait_ms: null });
  await within(answer).findByText("The link to Desk was lost. Reconnecting");
  await vi.waitFor(() => expect(answer.textContent).toContain("Half a"));
});

test("a seam stands at its place in the text, and prediction beside what came", async () => {
  const world = home();
  const last = world.conversations[0]?.messages.at(-1);
  if (!last?.answer) throw new Error("c1 has an answer");
  last.text = "One two three.";
  last.answer = {
    ...last.answer,
    total_ms: 9_000,
    predicted_first_token_ms: 500,
    predicted_total_ms: 4_000,
    seams: [{ at: 7, device_id: "e", device_name: "Lap", model: "m", reason: "Desk went away." }],
  };
  ({ app } = await startedApp(world));
  show(app, ChatView, { conversation: "c1" });
  const seam = await screen.findByTestId("seam");
  expect(seam.textContent?.trim()).toBe("Desk went away. Lap goes on from here.");
  expect(seam.previousElementSibling?.textContent?.trim()).toBe("One two");
  expect(seam.nextElementSibling?.textContent?.trim()).toBe("three.");
  await fireEvent.click(screen.getByRole("button", { name: "Times" }));
  expect(screen.getByTestId("times").textContent).toMatch(
    /First word.*0.5 s.*0.4 s.*Whole answer.*4.0 s.*9.0 s/s,
  );
});

test("an answer that ended early offers to go on, with the same model or another", async () => {
  const world = home();
  const last = world.conversations[0]?.messages.at(-1);
  if (!last?.answer) throw new Error("c1 has an answer");
  last.answer = { ...last.answer, finish_reason: "interrupted", error: null };
  ({ app, daemon } = await startedApp(world));
  show(app, ChatView, { conversation: "c1" });
  await screen.findByText("This answer ended early.");
  await fireEvent.click(screen.getByRole("button", { name: "Go on" }));
  await vi.waitFor(() =>
    expect(request("chat_start")).toMatchObject({
      continue_message: last.id,
      model: "qwen3-8b",
      via: "auto",
    }),
  );
});

test("an answer that was stopped or cut at its limit can be gone on with too", async () => {
  const world = home();
  const last = world.conversations[0]?.messages.at(-1);
  if (!last?.answer) throw new Error("c1 has an answer");
  last.answer = { ...last.answer, finish_reason: "length" };
  ({ app, daemon } = await startedApp(world));
  show(app, ChatView, { conversation: "c1" });
  await fireEvent.click(await screen.findByRole("button", { name: "Go on" }));
  await vi.waitFor(() => expect(request("chat_start")).toMatchObject({ continue_message: last.id }));
});

test("an answer that is whole has nothing to go on with", async () => {
  show(app, ChatView, { conversation: "c1" });
  await screen.findAllByTestId("answer");
  expect(screen.queryByRole("button", { name: "Go on" })).toBeNull();
});
