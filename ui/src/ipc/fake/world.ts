/** The invented household that design work and tests look at: a laptop (this device), a desk, an attic server, a phone. */
import type {
  AnswerDetails,
  Conversation,
  DeviceSummary,
  Engine,
  Invite,
  Knock,
  Message,
  Model,
  Network,
  Phase,
  ShellState,
} from "../bindings";

import { shellState } from "../host";

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
    context_length: 32_768,
    size_bytes: 5.2 * GIB,
    demo: false,
    ...more,
  };
}

export const details = (more: Partial<AnswerDetails> = {}): AnswerDetails => ({
  device_id: id("d"),
  device_name: "Desk",
  model: "qwen3-8b",
  demo: false,
  tokens: 132,
  first_token_ms: 412,
  tokens_per_s: 41.3,
  finish_reason: "stop",
  error: null,
  ...more,
});

const person = (key: string, text: string, at: number): Message => ({
  id: key,
  author: "person",
  text,
  thinking: null,
  at,
  answer: null,
});

const answer = (
  key: string,
  text: string,
  at: number,
  more: Partial<AnswerDetails> = {},
  thinking: string | null = null,
): Message => ({
  id: key,
  author: "model",
  text,
  thinking,
  at,
  answer: details(more),
});

export function conversation(key: string, title: string, at: number, messages: Message[] = []): Conversation {
  return {
    summary: { id: key, title, created_at: at, updated_at: at, messages: messages.length, answering: null },
    messages,
  };
}

const PHOTOS = `This reads the date from each photo's EXIF data and keeps a counter, so that two pictures taken in the same second do not collide:

\`\`\`sh
exiftool '-FileName<DateTimeOriginal' -d '%Y-%m-%d_%H%M%S%%-c.%%e' -ext jpg .
\`\`\`

Add \`-TestName\` instead of \`-FileName\` first to see what would change without changing anything.`;

const HEIC = `Yes. The same line takes more than one extension:

\`\`\`sh
exiftool '-FileName<DateTimeOriginal' -d '%Y-%m-%d_%H%M%S%%-c.%%e' -ext jpg -ext heic .
\`\`\`

| Format | Date field | Written by |
|---|---|---|
| JPEG | \`DateTimeOriginal\` | nearly every camera |
| HEIC | \`DateTimeOriginal\` | iPhone, recent Android |
| PNG | often missing | screenshots |

For files without a date, fall back to the file's own time:

1. Run the line above.
2. Run it again with \`-FileModifyDate\` for what is left.`;

const HEIC_THINKING =
  "They want the same for HEIC. exiftool reads HEIC too, so only the extension list changes. A table of where the date lives may help, and a note about files without one.";

const SOURDOUGH = String.raw`The cold slows the yeast. Its rate $k$ follows the temperature $T$:

$$
k(T) = A\,e^{-E_a / (R\,T)}, \qquad \frac{k(18\,^\circ\mathrm{C})}{k(26\,^\circ\mathrm{C})} \approx \frac{1}{2}
$$

So a rise of \(t = 4\) hours takes about eight. Check the water too; flour at $2 a kilo is as good as at $5.`;

function conversations(): Conversation[] {
  return [
    conversation("c1", "Rename photos by date", NOW - 4 * MINUTE, [
      person(
        "m1",
        "Write a shell one-liner that renames every JPEG in a folder to its capture date.",
        NOW - 6 * MINUTE,
      ),
      answer("m2", PHOTOS, NOW - 6 * MINUTE),
      person("m3", "Does it work for HEIC too?", NOW - 5 * MINUTE),
      answer(
        "m4",
        HEIC,
        NOW - 4 * MINUTE,
        { tokens: 214, first_token_ms: 380, tokens_per_s: 43.1 },
        HEIC_THINKING,
      ),
    ]),
    conversation("c2", "Dinner for eight, two vegan", NOW - 3 * HOUR, [
      person("m5", "Plan a dinner for eight. Two are vegan, one hates coriander.", NOW - 3 * HOUR),
      answer("m6", "Start with a **roast pepper soup**: everyone can eat it.", NOW - 3 * HOUR, {
        device_name: "Attic server",
      }),
    ]),
    conversation("c3", "Quarterly letter, second draft", NOW - DAY, []),
    conversation("c4", "Why does my sourdough not rise", NOW - DAY - 2 * HOUR, [
      person("m7", "Why does my sourdough not rise in winter?", NOW - DAY - 2 * HOUR),
      answer("m8", SOURDOUGH, NOW - DAY - 2 * HOUR),
    ]),
    conversation("c5", "Translate the lease", NOW - 5 * DAY, []),
    conversation("c6", "Names for a boat", NOW - 40 * DAY, []),
  ];
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
      {
        id: id("1"),
        name: "home",
        active: true,
        role: "owner",
        kind: "closed",
        members: 4,
        founded_at: NOW - 60 * DAY,
      },
      {
        id: id("2"),
        name: "studio",
        active: false,
        role: "member",
        kind: "open",
        members: 6,
        founded_at: NOW - 20 * DAY,
      },
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
    invites: [],
    conversations: conversations(),
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
    devices: laptop ? [{ ...laptop, accepting: "available" }] : [],
    engines: world.engines.slice(0, 1),
    models: world.models.slice(0, 1),
    conversations: [],
  };
}
