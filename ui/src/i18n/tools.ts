/** Tools, their rules and their limits as people read them. */
import { t } from ".";
import type { Limits, PermissionProposal, Rule } from "../ipc/bindings";
import { list } from "./format";

const KNOWN = ["read_file", "write_file", "shell", "fetch_url"] as const;
type Known = (typeof KNOWN)[number];

export type LimitKind = "folders" | "commands" | "hosts";

const known = (tool: string): Known | undefined => KNOWN.find((one) => one === tool);

/** Server and tool of `mcp:SERVER/TOOL`. */
export function mcp(tool: string): { server: string; name: string } | undefined {
  const [, server, name] = /^mcp:([^/]+)\/(.+)$/.exec(tool) ?? [];
  return server !== undefined && name !== undefined ? { server, name } : undefined;
}

/** What a tool is called. */
export function toolName(tool: string): string {
  const one = known(tool);
  return one ? t(`tool.${one}`) : (mcp(tool)?.name ?? tool);
}

/** What a tool does, inside a sentence: `running commands`. */
export function doing(tool: string): string {
  const one = known(tool);
  if (one) return t(`tool.doing.${one}`);
  const of = mcp(tool);
  return of ? t("tool.doing.mcp", { tool: of.name, server: of.server }) : t("tool.doing.other", { tool });
}

export const ruleName = (rule: Rule): string => t(`rule.${rule}`);

/** What a tool can be confined to. */
export function limitKinds(tool: string): LimitKind[] {
  if (tool === "read_file" || tool === "write_file") return ["folders"];
  if (tool === "shell") return ["commands"];
  if (tool === "fetch_url") return ["hosts"];
  return ["folders", "commands", "hosts"];
}

/** What a tool is confined to, as a sentence; empty where it is not. */
export function limitText(limits: Limits): string {
  const parts: string[] = [];
  for (const kind of ["folders", "commands", "hosts"] as const) {
    const values = limits[kind] ?? [];
    if (values.length > 0) parts.push(t(`limit.only.${kind}`, { values: list(values) }));
  }
  return parts.join(" ");
}

/** A proposal as a sentence, with what holds here. */
export function proposalText(proposal: PermissionProposal): string {
  const words = {
    device: proposal.device_name,
    doing: doing(proposal.tool),
    now: ruleName(proposal.now),
  };
  if (proposal.rule === proposal.now) return t("proposal.limits", words);
  return proposal.rule === "allow" ? t("proposal.allow", words) : t("proposal.ask", words);
}
