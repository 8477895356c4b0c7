import { beforeEach, describe, expect, test } from "vitest";
import type { Prompt, PromptDraft } from "../ipc/bindings";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { prompt } from "../ipc/fake/documents";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon } from "../test/fake";
import { PromptEdit } from "./prompt-edit.svelte";
import { formatOf, PromptFiles } from "./prompt-files.svelte";
import { NEW, Prompts } from "./prompts.svelte";
import { filled, used, variablesIn } from "./variables";

let daemon: FakeDaemon;
let prompts: Prompts;

beforeEach(async () => {
  daemon = fakeDaemon();
  prompts = new Prompts(tauriBackend);
  await prompts.list.refresh();
});

const ids = (): string[] => prompts.list.value.map((one) => one.id);
const find = (id: string): Prompt => {
  const one = prompts.find(id);
  if (!one) throw new Error(`the scene has ${id}`);
  return one;
};
const sent = (method: string): unknown => daemon.calls.findLast((call) => call.method === method)?.params;

describe("variables", () => {
  test("are found once each, in their order; braces around anything else are text", () => {
    expect(variablesIn("{{b}} {{a}} {{b}} { {c} } {{}} {{d e}}", "{{f_1}} {{{g}}} {{ü}}")).toEqual([
      "b",
      "a",
      "f_1",
      "g",
    ]);
  });

  test("are filled in once: a value that looks like a variable stays text", () => {
    const values = { who: "{{what}}", what: "x", toString: "y" };
    expect(filled("{{who}} {{what}} {{unknown}} {{constructor}}", values)).toBe(
      "{{what}} x {{unknown}} {{constructor}}",
    );
  });

  test("go into what the model is told", () => {
    const of = prompt("p", "P", "For {{who}}.");
    expect(used(of, { who: "Sam" })).toEqual({ id: "p", label: "P", system: "For Sam." });
  });
});

describe("the list", () => {
  test("is searched by label and text", () => {
    prompts.search = " BRITISH ";
    expect(prompts.rows.map((row) => row.prompt.id)).toEqual(["letter"]);
  });

  test("a deleted prompt keeps its place until it is undone or dismissed", async () => {
    const rows = (): string[] => prompts.rows.map((row) => row.prompt.id + (row.deleted ? "!" : ""));
    await prompts.delete(find("kitchen"));
    expect(rows()).toEqual(["letter", "review", "kitchen!", "minutes", "translate"]);
    await prompts.restore("kitchen");
    expect(sent("prompt_restore")).toEqual({ id: "kitchen", version: null });
    expect(rows()).toContain("kitchen");
    await prompts.delete(find("kitchen"));
    prompts.settle("kitchen");
    expect(rows()).toEqual(["letter", "review", "minutes", "translate"]);
  });

  test("a move shows at once, and is taken back when it is refused", async () => {
    const moving = prompts.move("translate", "letter");
    expect(ids()[0]).toBe("translate");
    await moving;
    expect(ids()).toEqual(["translate", "letter", "review", "kitchen", "minutes"]);
    daemon.refuse.set("prompt_move", { code: "not_allowed", message: "Not here." });
    await expect(prompts.move("translate", null)).rejects.toThrow("Not here.");
    expect(ids()[0]).toBe("translate");
  });

  test("a step goes past one neighbour, and at the ends nowhere", async () => {
    await prompts.step("letter", 1);
    expect(ids().slice(0, 3)).toEqual(["review", "letter", "kitchen"]);
    await prompts.step("letter", -1);
    expect(ids().slice(0, 2)).toEqual(["letter", "review"]);
    const before = daemon.calls.length;
    await prompts.step("letter", -1);
    await prompts.step("translate", 1);
    expect(daemon.calls.length).toBe(before);
    await prompts.step("minutes", 1);
    expect(ids().at(-1)).toBe("minutes");
  });

  test("without a network there are none, and that is no failure", async () => {
    daemon.refuse.set("prompt_list", { code: "no_network", message: "No network is active." });
    await prompts.list.refresh();
    expect([prompts.list.value, prompts.list.error]).toEqual([[], undefined]);
  });
});

describe("writing", () => {
  test("variables appear while they are written, and what was said of one outlives its absence", () => {
    const edit = new PromptEdit();
    edit.body = "For {{who}}.";
    edit.describe("who", { label: "For whom?" });
    edit.body = "For everybody.";
    expect(edit.variables).toEqual([]);
    edit.userText = "Dear {{who}}, {{text}}";
    expect(edit.variables.map((one) => [one.name, one.label])).toEqual([
      ["who", "For whom?"],
      ["text", ""],
    ]);
  });

  test("is dirty only when something differs", () => {
    const edit = new PromptEdit(find("letter"));
    expect(edit.dirty).toBe(false);
    edit.describe("sender", { default: "Mira" });
    expect(edit.dirty).toBe(true);
    edit.restart(find("letter"));
    expect(edit.dirty).toBe(false);
    edit.toggleTool("shell");
    expect(edit.draft().suggested_tools).toEqual(["shell"]);
  });

  test("is complete with a name, a text, and no more than 64 kB", () => {
    const edit = new PromptEdit();
    expect(edit.complete).toBe(false);
    edit.label = "Name";
    edit.body = "é".repeat(32 * 1024);
    expect(edit.complete).toBe(true);
    edit.body += "é";
    expect(edit.complete).toBe(false);
  });

  test("is kept while somebody looks elsewhere, and gone once saved", async () => {
    const edit = prompts.edit(NEW);
    edit.label = "  New one ";
    edit.body = "Say {{what}}.";
    expect(prompts.edit(NEW)).toBe(edit);
    expect(prompts.unsaved(NEW)).toBe(true);
    const saved = await prompts.save(edit);
    expect((sent("prompt_set") as { draft: PromptDraft }).draft).toEqual({
      id: null,
      label: "New one",
      body: "Say {{what}}.",
      variables: [{ name: "what", label: null, default: null }],
      suggested_tools: [],
      user_text: "",
    });
    expect(ids().at(-1)).toBe(saved.id);
    expect(prompts.edit(NEW).label).toBe("");
  });

  test("knows when the prompt was changed elsewhere meanwhile", async () => {
    const edit = prompts.edit("letter");
    expect(edit.overtaken(find("letter"))).toBe(false);
    const [letter] = daemon.world.documents.prompts;
    if (letter) Object.assign(letter, { body: "Other.", updated_at: letter.updated_at + 1 });
    await prompts.list.refresh();
    expect(edit.overtaken(find("letter"))).toBe(true);
  });
});

test("the history of one prompt is not shown for another", async () => {
  prompts.look("letter");
  await prompts.history.refresh();
  expect(prompts.history.value).toHaveLength(5);
  prompts.look("review");
  expect(prompts.history.value).toEqual([]);
  await prompts.history.refresh();
  expect(prompts.history.value.map((one) => one.device_name)).toEqual(["Laptop"]);
});

describe("files", () => {
  const file = (name: string, content: BlobPart): File => new File([content], name);
  let files: PromptFiles;
  let kept: string[];
  beforeEach(() => {
    kept = [];
    const saveFile = (name: string, text: string): Promise<string> => (
      kept.push(name, text),
      Promise.resolve("")
    );
    files = new PromptFiles({ ...tauriBackend, saveFile }, prompts);
  });

  test("are read as what their name or their beginning says", () => {
    expect(formatOf("a.JSON", "# x")).toBe("json");
    expect(formatOf("a.md", "{}")).toBe("markdown");
    expect(formatOf("a.txt", ' \n{"prompts": []}')).toBe("json");
    expect(formatOf("a.txt", "# Label")).toBe("markdown");
  });

  test("tell what came of an import", async () => {
    const text = JSON.stringify({
      prompts: [
        { label: "A", body: "a" },
        { id: "letter", body: "b", label: "L" },
      ],
    });
    expect(await files.import(file("all.json", text))).toBe(true);
    expect(files.outcome).toBe("1 prompt was added. 1 was changed; what it said before is in its history.");
    expect(find("letter").body).toBe("b");
  });

  test("that are broken are refused in the daemon's words, and nothing changes", async () => {
    const before = ids();
    expect(await files.import(file("all.json", '{"prompts": ['))).toBe(false);
    expect(files.task.error?.message).toContain("Nothing was imported.");
    expect([ids(), files.outcome]).toEqual([before, ""]);
  });

  test("that are no text or too large never reach the daemon", async () => {
    const before = daemon.calls.length;
    await files.import(file("photo.md", new Uint8Array([0xff, 0xd8, 0xff])));
    expect(files.task.error?.message).toContain("photo.md is not a text file");
    const large = file("all.json", "x");
    Object.defineProperty(large, "size", { value: 20_000_001 });
    await files.import(large);
    expect(files.task.error?.message).toContain("larger than 20 MB");
    expect(daemon.calls.length).toBe(before);
  });

  test("are kept among the downloads, with one prompt or all", async () => {
    await files.export(["review"], "markdown");
    expect(kept[0]).toBe("prompts.md");
    expect(kept[1]).toMatch(/^# Careful code review\n/);
    expect(files.outcome).toBe("1 prompt was saved: among your downloads");
    await files.export([], "json");
    expect((JSON.parse(kept[3] ?? "") as { prompts: unknown[] }).prompts).toHaveLength(5);
  });
});
