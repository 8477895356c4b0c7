import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { home, type World } from "../../ipc/fake/world";
import type { App } from "../../state/app.svelte";
import type { PromptPart } from "../../state/place.svelte";
import { NEW } from "../../state/prompts.svelte";
import { settle, show, startedApp } from "../../test/fake";
import PromptsSection from "../settings/PromptsSection.svelte";
import ChatView from "../views/ChatView.svelte";

let daemon: FakeDaemon;
let app: App;

const HOSTILE = `<img src=x onerror="window.hit = 1"><script>window.hit = 1</script>
[click](javascript:window.hit=1) **bold** {{name}}`;

async function start(world: World = home()): Promise<void> {
  ({ daemon, app } = await startedApp(world));
}
async function section(item?: string, part: PromptPart = "edit"): Promise<void> {
  show(app, PromptsSection, { item, part });
  await settle();
}
const called = (method: string): unknown[] =>
  daemon.calls.filter((call) => call.method === method).map((call) => call.params);
const labels = (): string[] =>
  screen.getAllByTestId("prompt").map((row) => row.querySelector("a span span")?.textContent ?? "");

beforeEach(() => start());

test("the list says what a prompt is, what it asks for, and who changed it", async () => {
  await section();
  expect(labels()[0]).toBe("Letter to an office");
  const [row] = screen.getAllByTestId("prompt");
  expect(row?.textContent).toMatch(/3 to fill in.*changed 2 hours ago by Desk.*You write letters/s);
});

test("a change on another device shows at once", async () => {
  await section();
  const [letter] = daemon.world.documents.prompts;
  if (letter) letter.label = "Renamed elsewhere";
  daemon.emit({ event: "prompts_changed" });
  await screen.findByText("Renamed elsewhere");
});

test("the keys lead through the list, order it, and delete", async () => {
  await section();
  const link = (name: RegExp): HTMLElement => screen.getByRole("link", { name });
  link(/^Letter/).focus();
  await fireEvent.keyDown(link(/^Letter/), { key: "ArrowDown" });
  expect(document.activeElement).toBe(link(/^Careful/));
  await fireEvent.keyDown(link(/^Careful/), { key: "ArrowUp", altKey: true });
  await vi.waitFor(() => expect(called("prompt_move")).toEqual([{ id: "review", before: "letter" }]));
  await vi.waitFor(() => expect(document.activeElement).toBe(link(/^Careful/)));
  await fireEvent.keyDown(link(/^Careful/), { key: "Delete" });
  await screen.findByText("“Careful code review” was deleted on all devices.");
  await fireEvent.click(screen.getByText("Undo"));
  await vi.waitFor(() => expect(labels()[0]).toBe("Careful code review"));
});

test("while something is searched for nothing can be put in order", async () => {
  await section();
  await fireEvent.input(screen.getByLabelText("Search prompts"), { target: { value: "e" } });
  const first = screen.getAllByRole("link")[0] as HTMLElement;
  await fireEvent.keyDown(first, { key: "ArrowDown", altKey: true });
  await settle();
  expect(called("prompt_move")).toEqual([]);
  await fireEvent.input(screen.getByLabelText("Search prompts"), { target: { value: "quantum" } });
  await fireEvent.click(await screen.findByText("Show all prompts"));
  expect(labels()).toHaveLength(5);
});

test("empty, without a network and failed each say what to do", async () => {
  daemon.world.documents.prompts = [];
  await app.documents.prompts.list.refresh();
  await section();
  await fireEvent.click(screen.getByText("Write the first prompt"));
  expect(app.place.view).toMatchObject({ section: "prompts", item: NEW });
  daemon.refuse.set("prompt_list", { code: "internal", message: "The database cannot be read." });
  daemon.emit({ event: "prompts_changed" });
  await screen.findByText("The database cannot be read.");
  await fireEvent.click(screen.getByText("Try again"));
  await vi.waitFor(() => expect(screen.queryByText("The database cannot be read.")).toBeNull());
  await app.networks.leave();
  await screen.findByText("Prompts belong to a network. None is active now.");
  expect(screen.queryByText("New prompt")).toBeNull();
});

test("variables appear while the text is written, and go to the daemon", async () => {
  await section(NEW);
  const save = (): HTMLButtonElement => screen.getByRole("button", { name: "Save" });
  expect(save().disabled).toBe(true);
  await fireEvent.input(screen.getByLabelText("Name"), { target: { value: "Teacher" } });
  await fireEvent.input(screen.getByLabelText("What the model is told"), {
    target: { value: "Explain {{topic}}." },
  });
  expect(await screen.findAllByTestId("variable")).toHaveLength(1);
  await fireEvent.input(screen.getByLabelText("Question for topic"), { target: { value: "What about?" } });
  await fireEvent.click(save());
  await vi.waitFor(() =>
    expect(called("prompt_set")[0]).toMatchObject({
      draft: {
        id: null,
        label: "Teacher",
        variables: [{ name: "topic", label: "What about?", default: null }],
      },
    }),
  );
  await vi.waitFor(() => expect(app.place.view).toMatchObject({ section: "prompts", item: undefined }));
});

test("a refused prompt keeps what was written, with the reason", async () => {
  await section("review");
  daemon.refuse.set("prompt_set", { code: "too_large", message: "The network is full." });
  const name = screen.getByLabelText<HTMLInputElement>("Name");
  await fireEvent.input(name, { target: { value: "Harsh review" } });
  await fireEvent.keyDown(name, { key: "s", ctrlKey: true });
  await screen.findByText("The network is full.");
  expect(name.value).toBe("Harsh review");
});

test("a change elsewhere while somebody writes is told, and nothing is overwritten unasked", async () => {
  await section("review");
  const body = screen.getByLabelText<HTMLTextAreaElement>("What the model is told");
  await fireEvent.input(body, { target: { value: "Mine." } });
  const theirs = daemon.world.documents.prompts[1];
  if (theirs) Object.assign(theirs, { body: "Theirs.", device_name: "Desk", updated_at: Date.now() });
  daemon.emit({ event: "prompts_changed" });
  await screen.findByText("Desk has changed this prompt meanwhile.");
  expect(body.value).toBe("Mine.");
  await fireEvent.click(screen.getByText("Drop mine, show theirs"));
  expect(body.value).toBe("Theirs.");
});

test("hostile Markdown does nothing, in the preview and in the history", async () => {
  const [letter] = daemon.world.documents.prompts;
  if (letter) Object.assign(letter, { body: HOSTILE, variables: [] });
  const before = daemon.world.documents.versions.letter?.[1];
  if (before) before.body = `${HOSTILE}\nmore`;
  await app.documents.prompts.list.refresh();
  await section("letter");
  await fireEvent.click(screen.getByRole("radio", { name: "Preview" }));
  const preview = await screen.findByTestId("preview");
  expect(preview.querySelector("strong")?.textContent).toBe("bold");
  expect(preview.querySelectorAll("img, script, a[href^=javascript]")).toHaveLength(0);
  expect(preview.textContent).toContain("<img src=x");
  await section("letter", "history");
  const version = (await screen.findAllByTestId("version"))[1] as HTMLElement;
  await fireEvent.click(within(version).getAllByRole("button")[0] as HTMLElement);
  await fireEvent.click(within(version).getByRole("radio", { name: "Text" }));
  expect(version.querySelectorAll("img, script, a")).toHaveLength(0);
  expect((window as unknown as { hit?: number }).hit).toBeUndefined();
});

test("the history names who and when, shows what a restore changes, and restores", async () => {
  await section("letter", "history");
  const versions = await screen.findAllByTestId("version");
  expect(versions.map((one) => one.textContent?.match(/(Desk|Laptop|Attic server), [\w ]+ago/)?.[1])).toEqual(
    ["Desk", "Laptop", undefined, "Attic server", "Laptop"],
  );
  expect(versions[0]?.textContent).toContain("present");
  expect(within(versions[3] as HTMLElement).queryByText("Restore")).toBeNull();
  const old = within(versions[2] as HTMLElement);
  await fireEvent.click(old.getByRole("button", { expanded: false }));
  expect(versions[2]?.textContent).toMatch(/−goes:.*no more than/);
  await fireEvent.click(old.getByText("Restore"));
  const wanted = daemon.world.documents.versions.letter?.[3]?.version;
  await vi.waitFor(() => expect(called("prompt_restore")).toEqual([{ id: "letter", version: wanted }]));
  await vi.waitFor(() => expect(screen.getAllByTestId("version")).toHaveLength(6));
});

test("a prompt that was deleted elsewhere can be brought back from its own page", async () => {
  await section("review");
  const [, review] = daemon.world.documents.prompts;
  daemon.world.documents.prompts = daemon.world.documents.prompts.filter((one) => one !== review);
  daemon.emit({ event: "prompts_changed" });
  await fireEvent.click(await screen.findByText("Bring it back"));
  await vi.waitFor(() => expect(called("prompt_restore")).toEqual([{ id: "review", version: null }]));
  await screen.findByLabelText("What the model is told");
});

test("a slash offers the prompts; one with variables asks, and then goes with the question", async () => {
  show(app, ChatView, { conversation: undefined });
  const composer = screen.getByLabelText<HTMLTextAreaElement>("Message");
  composer.focus();
  await fireEvent.input(composer, { target: { value: "/let" } });
  const option = screen.getByRole("option", { selected: true });
  expect(composer.getAttribute("aria-activedescendant")).toBe(option.id);
  await fireEvent.keyDown(composer, { key: "Enter" });
  await fireEvent.input(await screen.findByLabelText("To which office"), { target: { value: "the bank" } });
  await fireEvent.click(screen.getByRole("button", { name: "Use prompt" }));
  expect(screen.getByTestId("prompt-chip").textContent).toContain("Letter to an office");
  expect(composer.value).toBe("Write to the bank: ");
  await fireEvent.keyDown(composer, { key: "Enter" });
  await vi.waitFor(() =>
    expect(called("chat_start")[0]).toMatchObject({
      request: {
        prompt: "Write to the bank:",
        system: expect.stringContaining("letters for Sam Okafor.") as string,
      },
    }),
  );
  await fireEvent.click(screen.getByLabelText("Stop using Letter to an office"));
  expect(screen.queryByTestId("prompt-chip")).toBeNull();
});

test("a message that begins with a slash and fits no prompt is sent as it is", async () => {
  show(app, ChatView, { conversation: undefined });
  const composer = screen.getByLabelText<HTMLTextAreaElement>("Message");
  composer.focus();
  await fireEvent.input(composer, { target: { value: "/etc/hosts: what is it?" } });
  expect(screen.queryByRole("listbox")).toBeNull();
  await fireEvent.keyDown(composer, { key: "Enter" });
  await vi.waitFor(() =>
    expect(called("chat_start")[0]).toMatchObject({
      request: { prompt: "/etc/hosts: what is it?", system: null },
    }),
  );
});
