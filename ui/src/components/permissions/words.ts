/** Rules and tools as the screens draw them. */
import {
  Ban,
  Check,
  FilePen,
  FileSearch,
  Globe,
  MessageCircleQuestionMark,
  Plug,
  Terminal,
} from "@lucide/svelte";
import { ruleName } from "../../i18n/tools";
import type { Rule } from "../../ipc/bindings";
import { RULES } from "../../state/permissions.svelte";

const ICONS: Record<Rule, typeof Ban> = { deny: Ban, ask: MessageCircleQuestionMark, allow: Check };
const TINTS: Record<Rule, string> = { deny: "text-trouble", ask: "text-attention", allow: "text-ok" };

const TOOLS: Record<string, typeof Ban> = {
  read_file: FileSearch,
  write_file: FilePen,
  shell: Terminal,
  fetch_url: Globe,
};

export const toolIcon = (tool: string): typeof Ban => TOOLS[tool] ?? Plug;

export const ruleChoices = (): { value: Rule; label: string; icon: typeof Ban; tint: string }[] =>
  RULES.map((value) => ({ value, label: ruleName(value), icon: ICONS[value], tint: TINTS[value] }));
