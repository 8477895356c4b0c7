/** What the invented household decided, saw and is reached by: decisions, activities, connections, relays, neighbours. */
import type {
  ActivityEntry,
  ActivityKind,
  Connection,
  Decision,
  DeviceSummary,
  Invite,
  NearbyDevice,
  Network,
  NetworkSettings,
  Relay,
} from "../bindings";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const id = (digit: string): string => digit.repeat(64);

export const RELAY = "https://relay.example.org/";

export const settings = (more: Partial<NetworkSettings> = {}): NetworkSettings => ({
  relays: [],
  lookup: null,
  mdns: true,
  announce: false,
  air_gapped: false,
  ...more,
});

export const network = (name: string, digit: string, more: Partial<Network> = {}): Network => ({
  id: id(digit),
  name,
  active: false,
  role: "member",
  kind: "open",
  members: 1,
  founded_at: Date.now() - 20 * DAY,
  settings: settings(),
  ended: null,
  ...more,
});

export const invite = (digit: string, more: Partial<Invite> = {}): Invite => ({
  id: digit.repeat(6),
  invite:
    "myownllm://join/v1.eyJuIjoiaG9tZSIsImlkIjoiM2Y5YTFjN2U0YjhkMjA2NWUxZjQ3YTkwYzNkNWI4ZTIifQ.kJ4p0Zt8",
  network: "home",
  approved: false,
  role: "member",
  expires_at: Date.now() + DAY,
  uses_left: null,
  by: null,
  revoked: false,
  ...more,
});

export function decision(more: Partial<Decision>): Decision {
  return {
    id: id("0"),
    at: Date.now(),
    author_id: id("a"),
    author: "Laptop",
    kind: "admitted",
    subject_id: null,
    text: "",
    counts: true,
    why_not: null,
    acknowledged: [],
    waiting: [],
    ...more,
  };
}

/** The decisions of "home", newest first. */
export function decisions(now: number): Decision[] {
  const all: Partial<Decision>[] = [
    {
      kind: "removed",
      subject_id: id("9"),
      at: now - 40 * MINUTE,
      text: "Old tablet was removed.",
      acknowledged: ["Desk", "Attic server"],
      waiting: ["Phone"],
    },
    {
      kind: "admitted",
      subject_id: id("8"),
      at: now - 3 * HOUR,
      author_id: id("f"),
      author: "Phone",
      text: "Kitchen radio was admitted as a member.",
      counts: false,
      why_not: "Phone is a member, and in a closed network only owners and managers admit.",
    },
    { kind: "invited", at: now - 5 * HOUR, text: "An invite that admits 3 devices as members was made." },
    {
      kind: "settings",
      at: now - 2 * DAY,
      text: "Devices may reach each other through relay.example.org.",
    },
    { kind: "role", subject_id: id("d"), at: now - 20 * DAY, text: "Desk became a manager." },
    {
      kind: "admitted",
      subject_id: id("f"),
      at: now - 21 * DAY,
      author_id: id("d"),
      author: "Desk",
      text: "Phone was admitted as a member.",
    },
    {
      kind: "admitted",
      subject_id: id("e"),
      at: now - 58 * DAY,
      text: "Attic server was admitted as a member.",
    },
    { kind: "admitted", subject_id: id("d"), at: now - 59 * DAY, text: "Desk was admitted as a member." },
    { kind: "founded", at: now - 60 * DAY, text: "home was founded as a closed network." },
  ];
  return all.map((one, index) => decision({ id: `r${index}`, ...one }));
}

/** A device that signed two different things with one number. */
export const equivocation = (now: number): Decision =>
  decision({
    id: "r-equivocated",
    kind: "equivocated",
    subject_id: id("e"),
    author_id: id("e"),
    author: "Attic server",
    at: now - 10 * MINUTE,
    text: "Attic server signed two different records with the number 41.",
    counts: false,
    why_not: "Neither of the two counts. It lies, or it was restored from a backup.",
  });

/** Bytes per second, to and from each device. */
export const TRAFFIC: Record<string, { up: number; down: number }> = {
  [id("d")]: { up: 1_900, down: 14_600 },
  [id("e")]: { up: 120, down: 96 },
};

export function connections(devices: DeviceSummary[], now: number): Connection[] {
  return devices
    .filter((device) => device.path !== null && !device.this_device)
    .map((device) => ({
      device_id: device.device_id,
      device_name: device.name,
      path: device.path ?? "direct",
      address: device.path === "relay" ? RELAY : "192.168.1.40:41230",
      rtt_ms: device.rtt_ms,
      since: now - 3 * HOUR,
      sent_bytes: 2_400_000,
      received_bytes: 61_000_000,
      lending: 0,
      borrowing: device.name === "Desk" ? 1 : 0,
    }));
}

export const relays = (): Relay[] => [
  {
    url: RELAY,
    own: false,
    state: "connected",
    reason: "Connected: devices can reach this one through it.",
  },
  {
    url: "https://relay.studio.example/",
    own: false,
    state: "failed",
    reason: "It does not answer. Check its address, or remove it.",
  },
];

export const nearby = (now: number): NearbyDevice[] => [
  {
    device_id: id("7"),
    device_name: "Desk",
    network_id: id("1"),
    network: "home",
    member: false,
    since: now - 2 * MINUTE,
  },
  {
    device_id: id("6"),
    device_name: "Mira’s laptop",
    network_id: null,
    network: null,
    member: false,
    since: now - 9 * MINUTE,
  },
];

/** Two days of a household, newest first. */
export function activities(now: number): ActivityEntry[] {
  const told: [minutes: number, kind: ActivityKind, device: [string, string] | null, text: string][] = [
    [1, "lending", ["d", "Desk"], "Desk answers a request of this device with qwen3-8b."],
    [12, "connection", ["e", "Attic server"], "Attic server was reached through relay.example.org."],
    [13, "connection", ["e", "Attic server"], "Attic server went away: its path was lost."],
    [40, "member", ["9", "Old tablet"], "Old tablet was removed by Laptop."],
    [
      41,
      "security",
      ["9", "Old tablet"],
      "A request of Old tablet was refused: it is not a member any more.",
    ],
    [
      180,
      "security",
      ["f", "Phone"],
      "An admission signed by Phone does not count: only owners and managers admit.",
    ],
    [185, "connection", ["f", "Phone"], "Phone went away: it said goodbye."],
    [300, "invite", null, "An invite that admits 3 devices as members was made."],
    [410, "lending", ["f", "Phone"], "This device answered a request of Phone with myownllm-demo in 0.8 s."],
    [1500, "knock", ["5", "Sam’s laptop"], "Sam’s laptop knocked, and nobody answered within five minutes."],
    [1620, "network", null, "home became the active network."],
    [2900, "network", null, "Devices may reach each other through relay.example.org."],
  ];
  return told.map(([minutes, kind, device, text], index) => ({
    id: told.length - index,
    at: now - minutes * MINUTE,
    network_id: id("1"),
    kind,
    device_id: device ? id(device[0]) : null,
    device_name: device?.[1] ?? null,
    text,
  }));
}
