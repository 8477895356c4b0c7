/** Named situations for design work: `?fake=NAME` in the page's address. */
import type { NearbyDevice, WaitState } from "../bindings";
import { shellState } from "../host";
import { by, proposal } from "./documents";
import { equivocation, network } from "./trust";
import { firstRun, home, knock, model, NOW, type World } from "./world";

function away(): World {
  const world = home();
  world.devices = world.devices.map((device) =>
    device.name === "Desk"
      ? { ...device, state: "away", path: null, rtt_ms: null, reason: "It stopped answering a minute ago." }
      : device,
  );
  world.models = world.models.filter((model) => model.device_name !== "Desk");
  return world;
}

function alone(): World {
  const world = firstRun();
  const own = home()
    .networks.slice(0, 1)
    .map((network) => ({ ...network, members: 1 }));
  return { ...world, phase: "alone", reason: "No other device has joined home yet.", networks: own };
}

function failed(): World {
  const world = home();
  const last = world.conversations[0]?.messages.at(-1);
  if (last?.answer) {
    last.text = "Yes. The same line takes more than one";
    last.thinking = null;
    last.answer = {
      ...last.answer,
      finish_reason: "failed",
      tokens: 9,
      error: "Desk stopped answering. Ask again, or choose another device.",
    };
  }
  return world;
}

const HANDED =
  "Yes. The same line takes more than one extension, and exiftool reads HEIC as well as JPEG. Add it to the list, and try the line with `-TestName` first: nothing is renamed until you are content with what it shows.";

/** An answer that another device went on with, and that can be compared with what was predicted. */
function handed(): World {
  const world = home();
  const last = world.conversations[0]?.messages.at(-1);
  if (last?.answer) {
    last.text = HANDED;
    last.thinking = null;
    last.answer = {
      ...last.answer,
      device_id: "e".repeat(64),
      device_name: "Attic server",
      total_ms: 9_800,
      predicted_first_token_ms: 420,
      predicted_total_ms: 5_100,
      seams: [
        {
          at: 86,
          device_id: "e".repeat(64),
          device_name: "Attic server",
          model: "qwen3-8b",
          reason: "Desk went away.",
        },
      ],
    };
  }
  return world;
}

const holding = (
  state: WaitState,
  more: { position?: number; percent?: number; wait_ms?: number },
): World => ({
  ...home(),
  holds: { type: "waiting", state, position: null, percent: null, wait_ms: null, ...more },
});

/** Desk has a model of the catalogue, and what the hub sends of another one is wrong. */
function unsound(): World {
  const world = home();
  const desk = world.devices[1];
  if (desk) world.models.push(model("Qwen3-14B-Q4_K_M", desk, { size_bytes: 9_000_000_000 }));
  const message =
    "The hash of qwen3-coder-30b-a3b-q4_k_m is not what the hub named, so it was thrown away. Try again later.";
  world.library.broken["qwen3-coder-30b-a3b-q4_k_m"] = { type: "error", code: "download_failed", message };
  return world;
}

/** Nothing is kept on this device. */
function bare(): World {
  const world = home();
  world.library.shelf = { ...world.library.shelf, models: [], used_bytes: 0 };
  return world;
}

function locked(): World {
  const world = home();
  const base_url = "http://192.168.1.23:1473";
  world.api = {
    local: { openai_url: `${base_url}/v1`, base_url, key_required: true, beyond_loopback: true },
    keys: [],
    requests: [],
  };
  return world;
}

function paused(): World {
  const world = home();
  world.lending = {
    ...world.lending,
    pause: { until: null, at_once: false },
    closed: "You paused lending.",
    waiting: [],
  };
  return world;
}

/** This device was removed from a network that it still has among the saved ones. */
function removed(): World {
  const world = home();
  const gone = network("grandma", "3", {
    role: null,
    members: 3,
    ended: "Grandma’s PC removed this device yesterday.",
  });
  return { ...world, networks: [...world.networks, gone] };
}

/** Two looser rules of other devices wait for a person here. */
function proposed(): World {
  const world = home();
  const server = proposal({
    id: "p2",
    tool: "fetch_url",
    rule: "ask",
    limits: {},
    now: "deny",
    ...by("e"),
    at: NOW - 90 * 60_000,
  });
  return { ...world, documents: { ...world.documents, proposals: [proposal(), server] } };
}

const announced = (): NearbyDevice => ({
  device_id: "4".repeat(64),
  device_name: "Mira’s laptop",
  network_id: "4".repeat(64),
  network: "family",
  member: false,
  since: NOW,
});

export const SCENES: Record<string, () => World> = {
  home,
  "first-run": firstRun,
  alone,
  away,
  failed,
  handed,
  unsound,
  bare,
  paused,
  locked,
  unused: () => ({ ...home(), usage: [] }),
  queued: () => holding("queued", { position: 2, wait_ms: 9_000 }),
  loading: () => holding("loading", { percent: 40, wait_ms: 6_000 }),
  prefill: () => holding("prefill", { percent: 60 }),
  reconnecting: () => holding("reconnecting", {}),
  knock: () => ({ ...home(), knocks: [knock()] }),
  passed: () => ({ ...home(), knocks: [knock({ via: "Desk" })] }),
  removed,
  near: () => ({ ...home(), nearby: [announced()] }),
  "removed-near": () => ({ ...removed(), nearby: [announced()] }),
  unheard: () => ({ ...home(), nearby: [], multicast: false }),
  lied: () => ({ ...home(), decisions: [equivocation(NOW), ...home().decisions] }),
  proposed,
  "switched-off": () => {
    const world = home();
    return { ...world, documents: { ...world.documents, gossip: false } };
  },
  unwritten: () => {
    const world = home();
    return { ...world, documents: { ...world.documents, prompts: [], versions: {} } };
  },
  "air-gapped": () => {
    const world = home();
    world.networks = world.networks.map((one) => ({
      ...one,
      settings: { ...one.settings, air_gapped: true },
    }));
    return { ...world, relays: [] };
  },
  lookalike: () => ({ ...home(), knocks: [knock({ device_name: "Desκ", resembles: "Desk" })] }),
  starting: () => ({ ...home(), shell: shellState("starting", "Starting the daemon.") }),
  lost: home,
  mismatch: () => ({
    ...home(),
    shell: {
      ...shellState("mismatch", "A daemon of another version is running for this home."),
      code: "version_mismatch",
      expected: "0.1.0, protocol 1",
      found: "0.0.9, protocol 1",
    },
  }),
  broken: () => ({
    ...home(),
    shell: {
      ...shellState("failed", "Port 1473 is used by another program. Stop that program, or use a free port."),
      code: "port_in_use",
      log_path: "~/.local/share/myownllm/daemon.log",
    },
  }),
  trouble: () => ({
    ...away(),
    phase: "trouble",
    reason: "None of the 3 other devices can be reached. Check this device's connection.",
  }),
};
