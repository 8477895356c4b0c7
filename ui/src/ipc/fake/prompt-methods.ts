/** The invented daemon's requests about prompts. */
import type { Prompt, PromptDraft, PromptFormat, PromptImport, PromptVersion } from "../bindings";
import type { FakeDaemon } from "./daemon";
import { by, prompt, version } from "./documents";
import { found, type Method, refuse } from "./found";

const find = (daemon: FakeDaemon, key: unknown): Prompt =>
  found(
    daemon.world.documents.prompts.find((one) => one.id === key),
    "prompt",
  );

/** Puts a text in its place, keeps it as the present version, and tells that something changed. */
export function write(daemon: FakeDaemon, next: Prompt): Prompt {
  const { documents } = daemon.world;
  documents.prompts = [...documents.prompts.filter((one) => one.id !== next.id), next].sort(
    (a, b) => (a.order ?? 0) - (b.order ?? 0),
  );
  keep(daemon, next.id, version(next));
  return next;
}

function keep(daemon: FakeDaemon, key: string, present: PromptVersion): void {
  const { versions } = daemon.world.documents;
  versions[key] = [present, ...(versions[key] ?? []).map((one) => ({ ...one, current: false }))];
  daemon.emit({ event: "prompts_changed" });
}

/** What a deleted prompt had beside its text, so that a restore gives it back. */
const deleted = new WeakMap<FakeDaemon, Map<string, Prompt>>();

const last = (daemon: FakeDaemon): number => daemon.world.documents.prompts.at(-1)?.order ?? 0;

/** An order between two neighbours. */
function between(daemon: FakeDaemon, key: unknown, before: unknown): number {
  const others = daemon.world.documents.prompts.filter((one) => one.id !== key);
  const at = others.findIndex((one) => one.id === before);
  if (at < 0) return last(daemon) + 1;
  return ((others[at - 1]?.order ?? 0) + (others[at]?.order ?? 0)) / 2;
}

function set(daemon: FakeDaemon, draft: PromptDraft): Prompt {
  const known = daemon.world.documents.prompts.find((one) => one.id === draft.id);
  const label = draft.label ?? known?.label ?? "";
  if (label.trim() === "") refuse("invalid_argument", "A prompt needs a label. Give it a short name.");
  return write(daemon, {
    ...(known ?? prompt(draft.id ?? daemon.newId("prompt-"), label, "", { order: last(daemon) + 1 })),
    label,
    body: draft.body ?? known?.body ?? "",
    variables: draft.variables ?? known?.variables ?? [],
    suggested_tools: draft.suggested_tools ?? known?.suggested_tools ?? [],
    user_text: (draft.user_text ?? known?.user_text) || null,
    updated_at: Date.now(),
    ...by("a"),
  });
}

function take(daemon: FakeDaemon, text: string, format: PromptFormat): PromptImport {
  if (format === "markdown") {
    const [, label = "", body = ""] = /^# (.+)\n([\s\S]*)$/.exec(text) ?? [];
    if (label === "")
      refuse("invalid_argument", "The file has no heading “# Label”, so there is no prompt in it.");
    return { added: [set(daemon, { label, body: body.trim() }).id], changed: [], unchanged: 0 };
  }
  let drafts: PromptDraft[];
  try {
    drafts = (JSON.parse(text) as { prompts: PromptDraft[] }).prompts;
  } catch {
    return refuse(
      "invalid_argument",
      "The file is not whole JSON: it ends in the middle. Nothing was imported.",
    );
  }
  const nameless = drafts.findIndex((one) => !one.label);
  if (nameless >= 0)
    refuse("invalid_argument", `Prompt ${nameless + 1} in the file has no label. Nothing was imported.`);
  const known = new Set(daemon.world.documents.prompts.map((one) => one.id));
  const ids = drafts.map((draft) => set(daemon, draft).id);
  return {
    added: ids.filter((one) => !known.has(one)),
    changed: ids.filter((one) => known.has(one)),
    unchanged: 0,
  };
}

export const PROMPT_METHODS: Record<string, Method> = {
  prompt_list: (daemon) => daemon.world.documents.prompts,
  prompt_show: (daemon, { id: key }) => find(daemon, key),
  prompt_set: (daemon, { draft }) => set(daemon, draft as PromptDraft),
  prompt_duplicate(daemon, { id: key }) {
    const of = find(daemon, key);
    const { prompts } = daemon.world.documents;
    const next = prompts[prompts.indexOf(of) + 1];
    return write(daemon, {
      ...of,
      id: daemon.newId("prompt-"),
      label: `${of.label} (copy)`,
      order: next ? ((of.order ?? 0) + (next.order ?? 0)) / 2 : last(daemon) + 1,
      updated_at: Date.now(),
      ...by("a"),
    });
  },
  prompt_move(daemon, { id: key, before }) {
    const moved = { ...find(daemon, key), order: between(daemon, key, before) };
    return write(daemon, moved);
  },
  prompt_delete(daemon, { id: key }) {
    const gone = find(daemon, key);
    daemon.world.documents.prompts = daemon.world.documents.prompts.filter((one) => one !== gone);
    const bin = deleted.get(daemon) ?? new Map<string, Prompt>();
    deleted.set(daemon, bin.set(gone.id, gone));
    const now = { ...gone, updated_at: Date.now(), ...by("a") };
    keep(daemon, gone.id, version(now, { deleted: true, label: "", body: "" }));
    return null;
  },
  prompt_history: (daemon, { id: key }) => found(daemon.world.documents.versions[key as string], "prompt"),
  prompt_restore(daemon, { id: key, version: wanted }) {
    const all = daemon.world.documents.versions[key as string] ?? [];
    const back = found(
      all.find((one) => (wanted === null ? !one.deleted : one.version === wanted)),
      "version",
    );
    const known = daemon.world.documents.prompts.find((one) => one.id === key);
    const before = known ?? deleted.get(daemon)?.get(key as string);
    if (!before) return set(daemon, { id: key as string, label: back.label, body: back.body });
    const { label, body } = back;
    return write(daemon, { ...before, label, body, updated_at: Date.now(), ...by("a") });
  },
  prompt_import: (daemon, { text, format }) => take(daemon, text as string, format as PromptFormat),
  prompt_export(daemon, { ids, format }) {
    const wanted = ids as string[];
    const { prompts } = daemon.world.documents;
    const chosen = prompts.filter((one) => wanted.length === 0 || wanted.includes(one.id));
    const markdown = chosen.map((one) => `# ${one.label}\n\n${one.body}\n`).join("\n");
    return {
      file_name: format === "json" ? "prompts.json" : "prompts.md",
      text: format === "json" ? `${JSON.stringify({ prompts: chosen }, null, 2)}\n` : markdown,
      prompts: chosen.length,
    };
  },
};
