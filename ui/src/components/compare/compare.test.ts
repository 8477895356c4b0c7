import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import type { App } from "../../state/app.svelte";
import { show, startedApp } from "../../test/fake";
import ChatView from "../views/ChatView.svelte";
import CompareView from "../views/CompareView.svelte";

let daemon: FakeDaemon;
let app: App;

beforeEach(async () => {
  localStorage.clear();
  ({ daemon, app } = await startedApp());
});

const end = (at: number, first_token_ms: number, tokens_per_s: number): void =>
  daemon.answer(app.compare.columns[at]?.asked.id ?? "", {
    type: "done",
    text: `Answer ${at}.`,
    model: "qwen3-8b",
    device_id: "d",
    tokens: 3,
    first_token_ms,
    tokens_per_s,
    total_ms: first_token_ms + 1_000,
    predicted_first_token_ms: null,
    predicted_total_ms: null,
    finish_reason: "stop",
  });

async function ask(): Promise<HTMLElement[]> {
  show(app, CompareView, {});
  const field = screen.getByLabelText("Question to several devices");
  await fireEvent.input(field, { target: { value: "Hello" } });
  await fireEvent.keyDown(field, { key: "Enter" });
  return screen.findAllByTestId("column");
}

test("answers stand side by side with their times; marks come when all are over", async () => {
  const [first, second] = await ask();
  if (!first || !second) throw new Error("two columns");
  expect(first.textContent).toContain("Desk");
  expect(second.textContent).toContain("Attic server");
  end(0, 400, 12);
  await within(first).findByText("Answer 0.");
  expect(within(first).queryByText("soonest")).toBeNull();
  end(1, 900, 30);
  await within(first).findByText("soonest");
  expect(within(first).getByText("done first")).toBeTruthy();
  expect(within(second).getByText("fastest")).toBeTruthy();
  expect(second.textContent).toMatch(/First word.*0.9 s.*Whole answer.*1.9 s.*30 tokens\/s/s);
  expect(within(second).getByRole("button", { name: "Copy the answer of Attic server" })).toBeTruthy();
});

test("Escape cancels every answer", async () => {
  await ask();
  await fireEvent.keyDown(window, { key: "Escape" });
  await vi.waitFor(() =>
    expect(daemon.calls.filter((call) => call.method === "answer_stop")).toHaveLength(2),
  );
});

test("one that fails says why in its own column, the other goes on", async () => {
  const [first] = await ask();
  if (!first) throw new Error("two columns");
  const id = app.compare.columns[0]?.asked.id ?? "";
  daemon.answer(id, { type: "error", code: "unreachable", message: "Desk went away." });
  await within(first).findByText("Desk went away.");
  expect(app.compare.busy).toBe(true);
});

test("what is being written in a chat goes along", async () => {
  show(app, ChatView, { conversation: undefined });
  await fireEvent.input(screen.getByLabelText("Message"), { target: { value: "Which is best?" } });
  await fireEvent.click(screen.getByRole("button", { name: "Compare devices" }));
  expect(app.place.view).toEqual({ name: "compare" });
  expect(app.compare.draft).toBe("Which is best?");
});
