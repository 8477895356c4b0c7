import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { ChatRequest } from "../../ipc/bindings";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import type { App } from "../../state/app.svelte";
import { settle, show, startedApp } from "../../test/fake";
import ChatView from "../views/ChatView.svelte";

let daemon: FakeDaemon;
let app: App;

beforeEach(async () => {
  ({ daemon, app } = await startedApp());
});

const request = (): ChatRequest | undefined =>
  daemon.calls.findLast((call) => call.method === "chat_start")?.params.request as ChatRequest | undefined;
const composer = (): HTMLTextAreaElement => screen.getByLabelText("Message");

async function pick(button: string, item: RegExp): Promise<void> {
  const trigger = screen.getByTestId(button);
  trigger.focus();
  await fireEvent.keyDown(trigger, { key: "Enter" });
  const found = await screen.findByRole("menuitem", { name: item });
  await fireEvent.pointerUp(found);
  await fireEvent.click(found);
  await settle();
}

test("Enter sends, Shift+Enter does not, and Send turns into Stop", async () => {
  show(app, ChatView, { conversation: undefined });
  await fireEvent.input(composer(), { target: { value: "Hello" } });
  await fireEvent.keyDown(composer(), { key: "Enter", shiftKey: true });
  expect(request()).toBeUndefined();
  await fireEvent.keyDown(composer(), { key: "Enter" });
  await screen.findByLabelText("Stop");
  expect(request()).toMatchObject({ prompt: "Hello", via: "auto" });
  expect(composer().value).toBe("");
  await fireEvent.click(screen.getByLabelText("Stop"));
  await vi.waitFor(() => expect(daemon.calls.at(-1)?.method).toBe("answer_stop"));
});

test("words of an unfinished input method are not sent", async () => {
  show(app, ChatView, { conversation: undefined });
  await fireEvent.input(composer(), { target: { value: "にほ" } });
  await fireEvent.keyDown(composer(), { key: "Enter", isComposing: true });
  expect(request()).toBeUndefined();
});

test("the route picker lists automatic, this device and every other, and the choice goes with the question", async () => {
  show(app, ChatView, { conversation: undefined });
  expect(screen.getByTestId("privacy").textContent).toBe("Desk or Attic server may see this message");
  await pick("route", /^Desk/);
  expect(screen.getByTestId("privacy").textContent).toBe("Desk will see this message");
  await fireEvent.input(composer(), { target: { value: "Hello" } });
  await fireEvent.keyDown(composer(), { key: "Enter" });
  await vi.waitFor(() => expect(request()).toMatchObject({ via: "d".repeat(64) }));
});

test("a chosen device that is away: the message waits, and can go elsewhere", async () => {
  const desk = daemon.world.devices[1];
  if (!desk) throw new Error("the scene has a desk");
  Object.assign(desk, { state: "away", reason: "It stopped answering." });
  await app.devices.list.refresh();
  app.choice.choose(desk.device_id);
  show(app, ChatView, { conversation: undefined });
  await screen.findByText("Desk is away.");
  await fireEvent.input(composer(), { target: { value: "Hello" } });
  await fireEvent.keyDown(composer(), { key: "Enter" });
  await screen.findByText("Your message waits for Desk.");
  expect(request()).toBeUndefined();
  await fireEvent.click(screen.getByText("Use another device"));
  await vi.waitFor(() => expect(request()).toMatchObject({ prompt: "Hello", via: "auto" }));
});

test("an answer grows in place and ends with its quiet line", async () => {
  show(app, ChatView, { conversation: undefined });
  await fireEvent.input(composer(), { target: { value: "Hello" } });
  await fireEvent.keyDown(composer(), { key: "Enter" });
  await screen.findByText(/reads your message/);
  const id = app.chat.answer?.id ?? "";
  daemon.answer(id, { type: "delta", text: "Hi **there" });
  await screen.findByText(/Hi/);
  daemon.answer(id, { type: "delta", text: "**" });
  await vi.waitFor(() =>
    expect(screen.getByTestId("answer").querySelector("strong")?.textContent).toBe("there"),
  );
});

test("an answer shows device, model, first word and rate; its thinking is folded", async () => {
  show(app, ChatView, { conversation: "c1" });
  const answers = await screen.findAllByTestId("answer");
  const last = within(answers.at(-1) as HTMLElement);
  expect(last.getByTestId("meta").textContent?.replace(/\s+/g, " ").trim()).toBe(
    "Desk qwen3-8b first word 0.4 s 43 tokens/s 214 tokens",
  );
  expect(last.queryByText(/exiftool reads HEIC too/)).toBeNull();
  await fireEvent.click(last.getByText("Thought before answering"));
  expect(last.getByText(/exiftool reads HEIC too/)).toBeTruthy();
});

test("a link in an answer shows its whole address before it opens", async () => {
  const talk = daemon.world.conversations[1];
  const message = talk?.messages[1];
  if (!message) throw new Error("the scene has an answer");
  message.text = "[your bank](https://evil.example/login)";
  show(app, ChatView, { conversation: "c2" });
  await fireEvent.click(await screen.findByText("your bank"));
  expect(await screen.findByText("https://evil.example/login")).toBeTruthy();
});
