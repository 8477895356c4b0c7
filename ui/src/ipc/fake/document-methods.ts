/** The invented daemon's requests about rules for tools, what members may do, how far devices are, and what they show. */
import type {
  Catalogue,
  Limits,
  MemberScope,
  Permission,
  PermissionProposal,
  Rule,
  SyncStatus,
} from "../bindings";
import { capabilities, LAPTOP, shownBy, syncOf } from "./able";
import type { FakeDaemon } from "./daemon";
import { permission } from "./documents";
import { found, type Method, refuse } from "./found";
import { PROMPT_METHODS } from "./prompt-methods";
import { NOW } from "./world";

const ALL: MemberScope[] = ["chat", "files", "transcribe", "conversations", "models"];

const named = (daemon: FakeDaemon, key: unknown): { device_id: string; device_name: string } => {
  const { device_id, name } = found(
    daemon.world.devices.find((one) => one.device_id === key),
    "device",
  );
  return { device_id, device_name: name };
};

function rule(daemon: FakeDaemon, tool: string, next: Rule, limits: Limits | null): Permission {
  if (!/^(read_file|write_file|shell|fetch_url|mcp:[\w.-]+\/[\w.-]+)$/.test(tool))
    refuse("invalid_argument", `There is no tool “${tool}”. An MCP tool is named mcp:SERVER/TOOL.`);
  const { documents } = daemon.world;
  const known = documents.permissions.find((one) => one.tool === tool);
  const word = next[0]?.toUpperCase() + next.slice(1);
  const changed = permission(tool, next, `${word}, because you set it here just now.`, {
    limits: limits ?? known?.limits ?? {},
    set_by: daemon.world.devices[0]?.device_id ?? null,
    set_by_name: daemon.world.deviceName,
    set_at: Date.now(),
  });
  documents.permissions = known
    ? documents.permissions.map((one) => (one === known ? changed : one))
    : [...documents.permissions, changed];
  documents.proposals = documents.proposals.filter((one) => one.tool !== tool);
  daemon.emit({ event: "permissions_changed" });
  return changed;
}

const proposed = (daemon: FakeDaemon, key: unknown): PermissionProposal =>
  found(
    daemon.world.documents.proposals.find((one) => one.id === key),
    "proposal",
  );

const scopes = (daemon: FakeDaemon, key: unknown) => ({
  ...named(daemon, key),
  scopes: daemon.world.documents.scopes[key as string] ?? ALL,
});

function sync(daemon: FakeDaemon): SyncStatus {
  const status = daemon.status();
  if (status.network === null || status.network_id === null) refuse("no_network", "No network is active.");
  const { gossip, prompts, permissions } = daemon.world.documents;
  return {
    network: status.network ?? "",
    network_id: status.network_id ?? "",
    auto_gossip: gossip,
    records: 1_204 + prompts.length + permissions.length,
    bytes: 1_912_000,
    limit_bytes: 20 * 1024 * 1024,
    devices: status.peers.map((device) => syncOf(device, gossip)),
  };
}

function catalogue(daemon: FakeDaemon): Catalogue {
  const { showing, gossip } = daemon.world.documents;
  return { showing, conversations: gossip ? shownBy(daemon.world.devices, NOW) : [] };
}

export const DOCUMENT_METHODS: Record<string, Method> = {
  ...PROMPT_METHODS,
  permission_list: (daemon) => daemon.world.documents.permissions,
  permission_set: (daemon, { tool, rule: next, limits }) =>
    rule(daemon, tool as string, next as Rule, limits as Limits | null),
  permission_explain: (daemon, { tool }) =>
    found(
      daemon.world.documents.permissions.find((one) => one.tool === tool),
      "rule",
    ),
  permission_proposals: (daemon) => daemon.world.documents.proposals,
  permission_accept(daemon, { id: key }) {
    const { tool, rule: next, limits } = proposed(daemon, key);
    return rule(daemon, tool, next, limits);
  },
  permission_decline(daemon, { id: key }) {
    const gone = proposed(daemon, key);
    const { documents } = daemon.world;
    documents.proposals = documents.proposals.filter((one) => one !== gone);
    daemon.emit({ event: "permissions_changed" });
    return found(
      documents.permissions.find((one) => one.tool === gone.tool),
      "rule",
    );
  },
  permission_trust(daemon, { device, on }) {
    const { documents } = daemon.world;
    documents.trusted = documents.trusted.filter((one) => one !== device);
    if (on) documents.trusted.push(device as string);
    daemon.emit({ event: "permissions_changed" });
    return { ...named(daemon, device), trusted: on };
  },
  permission_trusted: (daemon) =>
    daemon.world.devices
      .filter((device) => !device.this_device)
      .map((device) => ({
        ...named(daemon, device.device_id),
        trusted: daemon.world.documents.trusted.includes(device.device_id),
      })),
  scope_show: (daemon, { device }) => scopes(daemon, device),
  scope_set(daemon, { device, scope, on }) {
    const others = scopes(daemon, device).scopes.filter((one) => one !== scope);
    daemon.world.documents.scopes[device as string] = on ? [...others, scope as MemberScope] : others;
    daemon.emit({ event: "permissions_changed" });
    return scopes(daemon, device);
  },
  sync_status: sync,
  sync_set(daemon, { on }) {
    daemon.world.documents.gossip = on as boolean;
    daemon.emit({ event: "sync_changed" });
    daemon.emit({ event: "catalogue_changed" });
    return sync(daemon);
  },
  capability_list: (daemon) =>
    daemon.world.devices.map((device) =>
      capabilities(
        device,
        daemon.world.models.filter((model) => model.device === device.device_id),
        NOW,
      ),
    ),
  catalogue,
  catalogue_show(daemon, { on }) {
    daemon.world.documents.showing = on as boolean;
    daemon.emit({ event: "catalogue_changed" });
    return catalogue(daemon);
  },
  hardware: () => LAPTOP,
};
