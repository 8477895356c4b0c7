/** What the invented household keeps in step: prompts with their past, rules for tools, and what devices do and show. */
import type {
  MemberScope,
  Permission,
  PermissionProposal,
  Prompt,
  PromptVariable,
  PromptVersion,
  Rule,
} from "../bindings";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const id = (digit: string): string => digit.repeat(64);
const NAMES: Record<string, string> = { a: "Laptop", d: "Desk", e: "Attic server", f: "Phone" };

export interface Documents {
  prompts: Prompt[];
  /** Of each prompt everything it ever said, newest first. */
  versions: Record<string, PromptVersion[]>;
  permissions: Permission[];
  proposals: PermissionProposal[];
  /** Devices whose looser rules apply here without asking. */
  trusted: string[];
  /** What members may do here; everything where nothing is said. */
  scopes: Record<string, MemberScope[]>;
  gossip: boolean;
  showing: boolean;
}

const LETTER = `You write letters for {{sender}}. Be warm, short and plain: no more than {{length}} sentences.

- Never invent facts. Where something is missing, ask.
- End with one clear request.

Write in **British English**.`;

const LETTER_BEFORE = `You write letters for {{sender}}. Be warm, short and plain.

- Never invent facts. Where something is missing, ask.

Write in **British English**.`;

const LETTER_LOST = `You write letters for {{sender}}. Be formal and precise.

- Never invent facts. Where something is missing, leave a gap.

Write in **British English**.`;

const REVIEW = `Review the code as a careful colleague. Name what could break, then what could be simpler.
Quote the lines that you speak of. Do not praise.`;

const KITCHEN = `You plan meals for a household of four. One is vegan, one hates coriander.
Give a shopping list by aisle, and times that fit one oven.`;

export function prompt(key: string, label: string, body: string, more: Partial<Prompt> = {}): Prompt {
  return {
    id: key,
    label,
    body,
    variables: [],
    suggested_tools: [],
    user_text: null,
    order: 1,
    updated_at: Date.now(),
    device_id: id("a"),
    device_name: "Laptop",
    ...more,
  };
}

export const by = (digit: string): { device_id: string; device_name: string } => ({
  device_id: id(digit),
  device_name: NAMES[digit] ?? "",
});

const variable = (name: string, label: string | null, value: string | null): PromptVariable => ({
  name,
  label,
  default: value,
});

export function prompts(now: number): Prompt[] {
  return [
    prompt("letter", "Letter to an office", LETTER, {
      order: 1,
      variables: [
        variable("sender", "Who signs", "Sam Okafor"),
        variable("length", "Most sentences", "8"),
        variable("office", "To which office", null),
      ],
      user_text: "Write to {{office}}: ",
      updated_at: now - 2 * HOUR,
      ...by("d"),
    }),
    prompt("review", "Careful code review", REVIEW, {
      order: 2,
      suggested_tools: ["read_file", "shell"],
      updated_at: now - DAY - 3 * HOUR,
    }),
    prompt("kitchen", "Kitchen planner", KITCHEN, { order: 3, updated_at: now - 9 * DAY, ...by("e") }),
    prompt(
      "minutes",
      "Minutes from notes",
      "Turn notes into minutes: who, what was decided, who does what by when.",
      {
        order: 4,
        updated_at: now - 12 * DAY,
        ...by("d"),
      },
    ),
    prompt(
      "translate",
      "Translate",
      "Translate what follows into {{language}}. Keep names, numbers and line breaks. Answer with the translation only.",
      {
        order: 5,
        variables: [variable("language", "Into which language", "German")],
        updated_at: now - 40 * DAY,
      },
    ),
  ];
}

let versions_made = 0;
export function version(of: Prompt, more: Partial<PromptVersion> = {}): PromptVersion {
  return {
    version: (versions_made++).toString(16).padStart(64, "0"),
    at: of.updated_at,
    device_id: of.device_id,
    device_name: of.device_name,
    deleted: false,
    label: of.label,
    body: of.body,
    current: true,
    ...more,
  };
}

function histories(all: Prompt[], now: number): Record<string, PromptVersion[]> {
  const known = Object.fromEntries(all.map((one) => [one.id, [version(one)]]));
  const [letter] = all;
  if (!letter) return known;
  const past = { current: false };
  known[letter.id] = [
    version(letter),
    version(letter, { ...past, at: now - 2 * HOUR - 40_000, body: LETTER_LOST, ...by("a") }),
    version(letter, { ...past, at: now - 26 * HOUR, body: LETTER_BEFORE, ...by("a") }),
    version(letter, { ...past, at: now - 3 * DAY, deleted: true, label: "", body: "", ...by("e") }),
    version(letter, {
      ...past,
      at: now - 8 * DAY,
      label: "Letter",
      body: "Write letters for {{sender}}.",
      ...by("a"),
    }),
  ];
  return known;
}

export function permission(
  tool: string,
  rule: Rule,
  reason: string,
  more: Partial<Permission> = {},
): Permission {
  return {
    tool,
    rule,
    limits: { folders: [], commands: [], hosts: [] },
    reason,
    set_by: null,
    set_by_name: null,
    set_at: null,
    proposal: null,
    ...more,
  };
}

const set = (digit: string, at: number): Partial<Permission> => ({
  set_by: id(digit),
  set_by_name: NAMES[digit] ?? "",
  set_at: at,
});

function permissions(now: number): Permission[] {
  return [
    permission("read_file", "allow", "Allow, because you set it here 3 days ago.", {
      ...set("a", now - 3 * DAY),
      limits: { folders: ["/home/sam/Documents", "/home/sam/src"], commands: [], hosts: [] },
    }),
    permission("write_file", "ask", "Ask, which is the rule until somebody sets one."),
    permission("shell", "ask", "Ask, because Desk set it on Tuesday.", set("d", now - 5 * DAY)),
    permission(
      "fetch_url",
      "deny",
      "Deny, because Desk set it 20 minutes ago, and stricter rules apply at once.",
      {
        ...set("d", now - 20 * MINUTE),
      },
    ),
    permission(
      "mcp:github/search_code",
      "allow",
      "Allow, because you set it here 9 days ago.",
      set("a", now - 9 * DAY),
    ),
  ];
}

export const proposal = (more: Partial<PermissionProposal> = {}): PermissionProposal => ({
  id: "p1",
  tool: "shell",
  rule: "allow",
  limits: { folders: [], commands: ["git status", "git diff", "cargo check"], hosts: [] },
  now: "ask",
  ...by("d"),
  at: Date.now() - 12 * MINUTE,
  ...more,
});

/** The household's documents; nothing waits for a decision. */
export function documents(now: number): Documents {
  const all = prompts(now);
  return {
    prompts: all,
    versions: histories(all, now),
    permissions: permissions(now),
    proposals: [],
    trusted: [],
    scopes: { [id("f")]: ["chat", "transcribe"] },
    gossip: true,
    showing: true,
  };
}
