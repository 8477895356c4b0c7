/** The invented daemon's requests, one line or a few each. */
import type { Conversation, EngineSpec, InviteOptions, Knock } from "../bindings";
import { chat, CHAT_METHODS } from "./chat-methods";
import type { FakeDaemon } from "./daemon";
import { DOCUMENT_METHODS } from "./document-methods";
import { found, type Method, network, refuse } from "./found";
import { LENDING_METHODS } from "./lending-methods";
import { LIBRARY_METHODS } from "./library-methods";
import { invite, settings } from "./trust";
import { TRUST_METHODS } from "./trust-methods";
import { conversation, device } from "./world";

function activate(daemon: FakeDaemon, key: string | null): void {
  for (const one of daemon.world.networks) one.active = one.id === key;
  const active = daemon.world.networks.find((one) => one.active);
  daemon.world.phase = active ? (active.members > 1 ? "online" : "alone") : "no_network";
  daemon.world.reason = active ? "No other device has joined yet." : "No network is active.";
  daemon.emit({ event: "networks_changed" });
  daemon.emit({ event: "devices_changed" });
  daemon.emit({ event: "phase", phase: daemon.world.phase, reason: daemon.world.reason });
}

function endKnock(daemon: FakeDaemon, key: string, outcome: string): Knock {
  const knock = found(
    daemon.world.knocks.find((one) => one.id === key),
    "knock",
  );
  daemon.world.knocks = daemon.world.knocks.filter((one) => one !== knock);
  daemon.emit({
    event: "knock_ended",
    id: knock.id,
    device_name: knock.device_name,
    outcome,
    decided_by: "Laptop",
  });
  return knock;
}

const deleted = new WeakMap<FakeDaemon, Map<string, Conversation>>();

export const METHODS: Record<string, Method> = {
  ...TRUST_METHODS,
  ...DOCUMENT_METHODS,
  ...CHAT_METHODS,
  ...LIBRARY_METHODS,
  ...LENDING_METHODS,
  status: (daemon) => daemon.status(),
  daemon_stop: () => null,
  network_list: (daemon) => daemon.world.networks,
  network_show: (daemon, { network: key }) => network(daemon, key ?? daemon.status().network_id),
  network_create(daemon, { name, kind }) {
    if (String(name).trim() === "") refuse("invalid_argument", "A network needs a name.");
    const made = {
      id: daemon.newId("n"),
      name,
      active: true,
      role: "owner",
      kind,
      members: 1,
      founded_at: Date.now(),
      settings: settings(),
      ended: null,
    };
    daemon.world.networks.push(made as never);
    activate(daemon, made.id);
    return made;
  },
  network_use(daemon, { network: key }) {
    activate(daemon, network(daemon, key).id);
    return network(daemon, key);
  },
  network_leave: (daemon) => (activate(daemon, null), null),
  network_forget(daemon, { network: key }) {
    const gone = network(daemon, key);
    daemon.world.networks = daemon.world.networks.filter((one) => one !== gone);
    activate(daemon, daemon.world.networks.find((one) => one.active)?.id ?? null);
    return null;
  },
  network_rename(daemon, { network: key, name }) {
    const renamed = network(daemon, key);
    renamed.name = name as string;
    daemon.emit({ event: "networks_changed" });
    return renamed;
  },
  invite_list: (daemon) => daemon.world.invites,
  invite_create(daemon, { options }) {
    const { approved, expires_in_s, role, uses } = options as InviteOptions;
    const made = invite("0", {
      id: daemon.newId("i"),
      network: daemon.status().network ?? "",
      approved,
      role: role ?? "member",
      expires_at: Date.now() + (expires_in_s ?? 86_400) * 1000,
      uses_left: approved ? (uses ?? 1) : null,
    });
    daemon.world.invites.push(made);
    daemon.emit({ event: "invites_changed" });
    return made;
  },
  invite_revoke(daemon, { id: key }) {
    const ended = found(
      daemon.world.invites.find((one) => one.id === key),
      "invite",
    );
    daemon.world.invites = daemon.world.invites.filter((one) => one !== ended);
    daemon.emit({ event: "invites_changed" });
    return { ...ended, revoked: true };
  },
  join_start(daemon, { invite: link }) {
    if (!String(link).startsWith("myownllm://join/")) {
      refuse(
        "invalid_invite",
        "This is not an invite. An invite starts with myownllm://join/. Copy the whole link and paste it again.",
      );
    }
    const unreachable = String(link).endsWith("unreachable");
    return daemon.playJoin("home", "Desk", { usedUp: String(link).endsWith("used-up"), unreachable });
  },
  join_stop: (daemon, { id: key }) => {
    daemon.join(key as string, {
      event: "failed",
      error: { code: "cancelled", message: "You withdrew the knock." },
    });
    return null;
  },
  knock_list: (daemon) => daemon.world.knocks,
  knock_approve(daemon, { id: key }) {
    const knock = endKnock(daemon, key as string, "approved");
    const admitted = device(knock.device_name, "5", { device_id: knock.device_id, os: knock.os });
    daemon.world.devices.push(admitted);
    daemon.emit({ event: "devices_changed" });
    return admitted;
  },
  knock_deny: (daemon, { id: key }) => (endKnock(daemon, key as string, "denied"), null),
  device_list: (daemon) => daemon.world.devices,
  device_name(daemon, { name }) {
    daemon.world.deviceName = name as string;
    const own = found(daemon.world.devices[0], "device");
    own.name = name as string;
    daemon.emit({ event: "devices_changed" });
    return own;
  },
  accepting_set(daemon, { accepting }) {
    found(daemon.world.devices[0], "device").accepting = accepting as never;
    daemon.world.lending = { ...daemon.world.lending, accepting: accepting as never };
    daemon.emit({ event: "devices_changed" });
    return accepting;
  },
  engine_list: (daemon) => daemon.world.engines,
  engine_add(daemon, { spec }) {
    const { url, kind } = spec as EngineSpec;
    if (!/^https?:\/\//.test(url))
      refuse("invalid_argument", "An engine's address starts with http:// or https://.");
    const engine = {
      id: daemon.newId("e"),
      kind: kind ?? "openai",
      url,
      state: "ready",
      reason: "Answers.",
      models: ["mistral-small"],
      builtin: false,
    };
    daemon.world.engines.push(engine as never);
    daemon.emit({ event: "engines_changed" });
    return engine;
  },
  engine_remove(daemon, { id: key }) {
    daemon.world.engines = daemon.world.engines.filter((one) => one.id !== key);
    daemon.emit({ event: "engines_changed" });
    return null;
  },
  engine_test: (daemon, { id: key }) =>
    found(
      daemon.world.engines.find((one) => one.id === key),
      "engine",
    ),
  conversation_list(daemon, { search }) {
    const wanted = String(search ?? "").toLowerCase();
    const texts = (talk: Conversation) => [
      talk.summary.title,
      ...talk.messages.map((message) => message.text),
    ];
    return daemon.world.conversations
      .filter((talk) => texts(talk).some((text) => text.toLowerCase().includes(wanted)))
      .map((talk) => talk.summary)
      .sort((a, b) => b.updated_at - a.updated_at);
  },
  conversation_create(daemon) {
    const talk = conversation(daemon.newId("c"), "", Date.now());
    daemon.world.conversations.unshift(talk);
    daemon.emit({ event: "conversations_changed" });
    return talk.summary;
  },
  conversation_open: (daemon, { id: key }) => chat(daemon, key),
  conversation_rename(daemon, { id: key, title }) {
    const { summary } = chat(daemon, key);
    summary.title = title as string;
    daemon.emit({ event: "conversations_changed" });
    return summary;
  },
  conversation_delete(daemon, { id: key }) {
    const talk = chat(daemon, key);
    const bin = deleted.get(daemon) ?? new Map<string, Conversation>();
    deleted.set(daemon, bin.set(talk.summary.id, talk));
    daemon.world.conversations = daemon.world.conversations.filter((one) => one !== talk);
    daemon.emit({ event: "conversations_changed" });
    return null;
  },
  conversation_restore(daemon, { id: key }) {
    const talk = found(deleted.get(daemon)?.get(key as string), "conversation");
    daemon.world.conversations.push(talk);
    daemon.emit({ event: "conversations_changed" });
    return talk.summary;
  },
  conversation_move(daemon, { ids, folder }) {
    const moved = (ids as string[]).map((key) => chat(daemon, key).summary);
    for (const summary of moved) summary.folder = (folder as string | null)?.trim() || null;
    daemon.emit({ event: "conversations_changed" });
    return moved;
  },
  conversation_private(daemon, { id: key, on }) {
    const { summary } = chat(daemon, key);
    summary.private = on as boolean;
    daemon.emit({ event: "conversations_changed" });
    return summary;
  },
};
