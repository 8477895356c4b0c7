import { expect, test, vi } from "vitest";
import type { ChatRequest, Event } from "../ipc/bindings";
import { proposal } from "../ipc/fake/documents";
import { id } from "../ipc/fake/world";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { settle, startedApp } from "../test/fake";
import { PromptPick } from "./prompt-pick.svelte";

const count = (daemon: FakeDaemon, method: string): number =>
  daemon.calls.filter((call) => call.method === method).length;
const asked = (daemon: FakeDaemon): ChatRequest =>
  daemon.calls.findLast((call) => call.method === "chat_start")?.params.request as ChatRequest;

test("every kind of change is read again in its area", async () => {
  const { daemon } = await startedApp();
  const areas: [Event, string][] = [
    [{ event: "prompts_changed" }, "prompt_list"],
    [{ event: "permissions_changed" }, "permission_list"],
    [{ event: "capabilities_changed" }, "capability_list"],
    [{ event: "catalogue_changed" }, "catalogue"],
    [{ event: "sync_changed" }, "sync_status"],
  ];
  for (const [event, method] of areas) {
    const before = count(daemon, method);
    daemon.emit(event);
    await vi.waitFor(() => expect(count(daemon, method)).toBeGreaterThan(before));
  }
});

test("a proposal is counted, and told as what it is", async () => {
  const { daemon, app } = await startedApp();
  const made = proposal();
  daemon.world.documents.proposals = [made];
  daemon.emit({ event: "proposal", proposal: made });
  await vi.waitFor(() => expect(app.documents.permissions.waiting).toBe(1));
  expect(app.notices.list[0]?.text).toBe("Desk proposes to allow running commands. It is Ask here.");
});

test("nothing of one network shows in the next", async () => {
  const { daemon, app } = await startedApp();
  const { prompts } = app.documents;
  prompts.edit("letter").body = "not saved";
  prompts.search = "x";
  app.chat.prompt = { id: "letter", label: "Letter", system: "You write." };
  daemon.world.documents.prompts = [];
  await app.networks.use(id("2"));
  await vi.waitFor(() => expect([prompts.list.loaded, prompts.list.value]).toEqual([true, []]));
  expect([prompts.search, prompts.unsaved("letter"), app.chat.prompt]).toEqual(["", false, undefined]);
});

test("what a member may do is read again when it changes elsewhere, and only if somebody looks", async () => {
  const { daemon, app } = await startedApp();
  const { scopes } = app.documents;
  daemon.emit({ event: "permissions_changed" });
  await settle();
  expect(count(daemon, "scope_show")).toBe(0);
  scopes.look(id("d"));
  await vi.waitFor(() => expect(scopes.of.value?.scopes).toContain("files"));
  await scopes.set(id("d"), "files", false);
  expect(scopes.of.value?.scopes).not.toContain("files");
  daemon.world.documents.scopes[id("d")] = [];
  daemon.emit({ event: "permissions_changed" });
  await vi.waitFor(() => expect(scopes.of.value?.scopes).toEqual([]));
});

test("a daemon that knows no documents says so there, and takes nothing else away", async () => {
  const { daemon, app } = await startedApp();
  const message = "The daemon does not know this request.";
  const methods = ["prompt_list", "permission_list", "sync_status", "capability_list", "catalogue"];
  for (const method of methods) daemon.refuse.set(method, { code: "version_mismatch", message });
  const before = count(daemon, "device_list");
  await app.refresh();
  const { documents } = app;
  expect(documents.prompts.list.error?.message).toBe(message);
  expect(documents.sync.status.error?.message).toBe(message);
  expect(count(daemon, "device_list")).toBeGreaterThan(before);
  expect(app.devices.list.error).toBeUndefined();
});

test("a prompt goes with the questions of its conversation, also when they are asked again", async () => {
  const { daemon, app } = await startedApp();
  app.chat.prompt = { id: "review", label: "Review", system: "Review the code." };
  await app.chat.send("fn main() {}", app.choice.target);
  expect(asked(daemon).system).toBe("Review the code.");
  const first = app.chat.id;
  await app.chat.open("c1");
  expect(app.chat.prompt).toBeUndefined();
  await app.chat.open(undefined);
  expect(app.chat.prompt).toBeUndefined();
  await app.chat.open(first);
  expect(app.chat.prompt?.label).toBe("Review");
  app.chat.prompt = undefined;
  await app.chat.open("c1");
  await app.chat.send("And PNG?", app.choice.target);
  expect(asked(daemon).system).toBeNull();
});

test("the draft of a new chat does not come back in the next one", async () => {
  const { app } = await startedApp();
  app.chat.draft = "half a question";
  await app.chat.open("c1");
  await app.chat.open(undefined);
  await app.chat.send(app.chat.draft, app.choice.target);
  app.chat.draft = "";
  await app.chat.open("c1");
  await app.chat.open(undefined);
  expect(app.chat.draft).toBe("");
});

test("folders come first, by name; what is searched for hides in none", async () => {
  const { app } = await startedApp();
  const { conversations } = app;
  await conversations.move(["c6", "c2"], "Boat");
  const folders = (): string[] => conversations.parts(Date.now()).flatMap((part) => part.folder ?? []);
  expect(folders()).toEqual(["Boat", "Work"]);
  expect(await conversations.folders()).toEqual(["Boat", "Work"]);
  conversations.fold("Boat");
  expect(conversations.folded("Boat")).toBe(true);
  conversations.search = "boat";
  expect(conversations.folded("Boat")).toBe(false);
  conversations.search = "";
  await conversations.move(["c6", "c2"], null);
  expect(folders()).toEqual(["Work"]);
});

test("picked conversations are moved together, a single one alone", async () => {
  const { app } = await startedApp();
  const { conversations } = app;
  for (const key of ["c1", "c6"]) conversations.select(key);
  conversations.beginMove(conversations.find("c2"));
  expect(conversations.moving?.map((one) => one.id)).toEqual(["c2"]);
  conversations.beginMove(conversations.find("c1"));
  expect(conversations.moving?.map((one) => one.id).sort()).toEqual(["c1", "c6"]);
  await conversations.move(["c1", "c6"], "Both");
  expect(conversations.selected.size).toBe(0);
});

test("the picker opens on a slash at the start, and only there", async () => {
  const { app } = await startedApp();
  const pick = new PromptPick(app.documents.prompts, app.chat);
  const state = (draft: string): [boolean, string[]] => {
    app.chat.draft = draft;
    pick.typed();
    return [pick.open, pick.matches.map((one) => one.id)];
  };
  expect(state("a /")[0]).toBe(false);
  expect(state("/")[1]).toHaveLength(5);
  expect(state("/m")[1]).toEqual(["minutes"]);
  expect(state("/e")[1]).toContain("letter");
  expect(state("/etc/hosts, what is it?")).toEqual([false, []]);
  expect(state("/letter\nmore")[0]).toBe(false);
  state("/");
  expect(pick.key("Escape")).toBe(true);
  expect(pick.open).toBe(false);
  expect(pick.key("Enter")).toBe(false);
  expect(state("")[0]).toBe(false);
  expect(state("/")[0]).toBe(true);
});

test("the picker's keys go round, and a prompt without variables is used at once", async () => {
  const { app } = await startedApp();
  const pick = new PromptPick(app.documents.prompts, app.chat);
  app.chat.draft = "/";
  pick.key("ArrowUp");
  expect(pick.active?.id).toBe("translate");
  pick.key("ArrowDown");
  pick.key("ArrowDown");
  expect(pick.active?.id).toBe("review");
  pick.key("Enter");
  expect([app.chat.prompt?.id, app.chat.draft, pick.asking]).toEqual(["review", "", undefined]);
});

test("the button leaves what was written alone", async () => {
  const { app } = await startedApp();
  const pick = new PromptPick(app.documents.prompts, app.chat);
  app.chat.draft = "Dear sirs";
  pick.begin();
  expect(pick.open).toBe(true);
  const letter = app.documents.prompts.find("letter");
  if (!letter) throw new Error("the scene has a letter");
  pick.pick(letter);
  expect(pick.asking).toBe(letter);
  pick.use(letter, { sender: "Sam", length: "3", office: "the bank" });
  expect([app.chat.draft, app.chat.prompt?.system.split("\n")[0], pick.open]).toEqual([
    "Dear sirs",
    "You write letters for Sam. Be warm, short and plain: no more than 3 sentences.",
    false,
  ]);
});
