/** The invented household that design work and tests look at: a laptop (this device), a desk, an attic server, a phone. */
import type {
  ActivityEntry,
  AnswerEvent,
  Connection,
  Conversation,
  Decision,
  DeviceSummary,
  Engine,
  Invite,
  Knock,
  Lending,
  Model,
  NearbyDevice,
  Network,
  Phase,
  Relay,
  ShellState,
  UsageRow,
} from "../bindings";
import { shellState } from "../host";
import { type Documents, documents } from "./documents";
import { type Api, api, lending, usageRows } from "./lending";
import { type Library, library } from "./library";
import { conversation, conversations, details } from "./talks";
import {
  activities,
  connections,
  decisions,
  invite,
  nearby,
  network,
  RELAY,
  relays,
  settings,
} from "./trust";

export { conversation, details };

export const NOW = Date.now();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const GIB = 1024 ** 3;

export interface World {
  shell: ShellState;
  phase: Phase;
  reason: string;
  warnings: string[];
  deviceName: string;
  networks: Network[];
  devices: DeviceSummary[];
  engines: Engine[];
  models: Model[];
  knocks: Knock[];
  invites: Invite[];
  conversations: Conversation[];
  decisions: Decision[];
  activities: ActivityEntry[];
  connections: Connection[];
  relays: Relay[];
  nearby: NearbyDevice[];
  documents: Documents;
  library: Library;
  lending: Lending;
  usage: UsageRow[];
  api: Api;
  /** What every answer waits for, for ever. */
  holds?: AnswerEvent;
  /** Whether the local network passes multicast on; true when not given. */
  multicast?: boolean;
}

export const id = (digit: string): string => digit.repeat(64);

export function device(name: string, digit: string, more: Partial<DeviceSummary> = {}): DeviceSummary {
  return {
    device_id: id(digit),
    name,
    os: "Linux",
    this_device: false,
    role: "member",
    state: "online",
    reason: "Connected.",
    path: "direct",
    rtt_ms: 4.2,
    models: [],
    accepting: "available",
    version: "0.1.0",
    last_seen: NOW,
    ...more,
  };
}

export function model(id: string, of: DeviceSummary, more: Partial<Model> = {}): Model {
  return {
    id,
    device: of.device_id,
    device_name: of.name,
    this_device: of.this_device,
    engine: "ollama",
    state: "available",
    reason: null,
    percent: null,
    context_length: 32_768,
    size_bytes: 5.2 * GIB,
    demo: false,
    ...more,
  };
}

/** The household with everything in it: the active network "home" with four devices. */
export function home(): World {
  const laptop = device("Laptop", "a", {
    this_device: true,
    path: null,
    rtt_ms: null,
    role: "owner",
    accepting: "limited",
    reason: "This device.",
    models: ["myownllm-demo"],
  });
  const desk = device("Desk", "d", {
    role: "manager",
    models: ["qwen3-8b", "llama-3.3-70b", "nomic-embed-text"],
  });
  const attic = device("Attic server", "e", {
    path: "relay",
    rtt_ms: 61,
    models: ["qwen3-8b"],
    reason: "Connected through a relay.",
  });
  const phone = device("Phone", "f", {
    os: "iOS",
    version: "0.0.9",
    state: "away",
    path: null,
    rtt_ms: null,
    reason: "Not seen for 3 hours.",
    last_seen: NOW - 3 * HOUR,
  });
  return {
    shell: shellState("attached"),
    phase: "online",
    reason: "2 of 3 other devices are connected.",
    warnings: [],
    deviceName: "Laptop",
    networks: [
      network("home", "1", {
        active: true,
        role: "owner",
        kind: "closed",
        members: 4,
        founded_at: NOW - 60 * DAY,
        settings: settings({ relays: [RELAY, "https://relay.studio.example/"], announce: true }),
      }),
      network("studio", "2", { members: 6 }),
    ],
    devices: [laptop, desk, attic, phone],
    engines: [
      {
        id: "builtin",
        kind: "llama-server",
        url: null,
        state: "ready",
        reason: "Answers.",
        models: ["myownllm-demo"],
        builtin: true,
      },
      {
        id: "ollama",
        kind: "ollama",
        url: "http://127.0.0.1:11434",
        state: "failed",
        reason: "Nothing answers at http://127.0.0.1:11434. Start Ollama, or remove this engine.",
        models: [],
        builtin: false,
      },
    ],
    models: [
      model("myownllm-demo", laptop, {
        engine: "builtin",
        state: "ready",
        demo: true,
        context_length: 512,
        size_bytes: 2_100_000,
      }),
      model("qwen3-8b", desk, { state: "ready" }),
      model("llama-3.3-70b", desk, { size_bytes: 40 * GIB, context_length: 131_072 }),
      model("nomic-embed-text", desk, {
        state: "failed",
        reason: "The file is damaged. Download it again on Desk.",
        size_bytes: 0.3 * GIB,
        context_length: 2048,
      }),
      model("qwen3-8b", attic, { state: "available" }),
    ],
    knocks: [],
    invites: [
      invite("c", { approved: true, uses_left: 2 }),
      invite("b", { approved: true, uses_left: 1, role: "manager", by: "Desk", invite: null }),
    ],
    conversations: conversations(NOW),
    decisions: decisions(NOW),
    activities: activities(NOW),
    connections: connections([laptop, desk, attic, phone], NOW),
    relays: relays(),
    nearby: nearby(NOW).slice(1),
    documents: documents(NOW),
    library: library(NOW),
    lending: lending([desk, attic, phone], NOW),
    usage: usageRows([desk, attic, phone]),
    api: api(NOW),
  };
}

export const knock = (more: Partial<Knock> = {}): Knock => ({
  id: "k1",
  network: "home",
  device_id: id("5"),
  device_name: "Sam’s laptop",
  resembles: null,
  os: "macOS",
  code: "K7M2XQ",
  at: NOW - 20_000,
  expires_at: NOW + 280_000,
  via: null,
  ...more,
});

/** A fresh install: no network, the built-in demo model ready. */
export function firstRun(): World {
  const world = home();
  const [laptop] = world.devices;
  return {
    ...world,
    phase: "no_network",
    reason: "No network is active.",
    networks: [],
    invites: [],
    devices: laptop ? [{ ...laptop, accepting: "available" }] : [],
    engines: world.engines.slice(0, 1),
    models: world.models.slice(0, 1),
    conversations: [],
    decisions: [],
    activities: [],
    connections: [],
    relays: [],
    nearby: nearby(NOW),
    documents: { ...world.documents, prompts: [], versions: {}, permissions: [] },
  };
}
