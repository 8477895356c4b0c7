/** The invented daemon's requests about lending, usage, and the local API. */
import type { KeyScope, Lending, LendingRules, MemberRules } from "../bindings";
import type { FakeDaemon } from "./daemon";
import { found, type Method, refuse } from "./found";
import { usage } from "./lending";

const DAY = 86_400_000;

function lending(daemon: FakeDaemon): Lending {
  if (daemon.status().network === null)
    refuse("no_network", "No network is active. Join or found one first.");
  return daemon.world.lending;
}

function change(daemon: FakeDaemon, to: Partial<Lending>): Lending {
  daemon.world.lending = { ...lending(daemon), ...to };
  daemon.emit({ event: "lending_changed" });
  return daemon.world.lending;
}

function setMember(daemon: FakeDaemon, rules: MemberRules): Lending {
  const { device_id, name } = found(
    daemon.world.devices.find((one) => one.device_id === rules.device_id),
    "device",
  );
  const others = daemon.world.lending.members.filter((one) => one.device_id !== device_id);
  const { concurrent, tokens_per_day, models, hours } = rules;
  const none = [concurrent, tokens_per_day, models, hours].every((limit) => limit === null);
  return change(daemon, { members: none ? others : [...others, { ...rules, device_name: name }] });
}

function pause(daemon: FakeDaemon, seconds: number | null, atOnce: boolean): Lending {
  return change(daemon, {
    pause: { until: seconds === null ? null : Date.now() + seconds * 1000, at_once: atOnce },
    closed: "You paused lending.",
    waiting: [],
    ...(atOnce ? { running: [] } : {}),
  });
}

export const LENDING_METHODS: Record<string, Method> = {
  lend_show: lending,
  lend_set: (daemon, { rules }) => change(daemon, { rules: rules as LendingRules }),
  lend_member: (daemon, { rules }) => setMember(daemon, rules as MemberRules),
  lend_pause: (daemon, { seconds, atOnce }) => pause(daemon, seconds as number | null, atOnce as boolean),
  lend_resume: (daemon) => change(daemon, { pause: null, closed: null }),
  usage(daemon, { since }) {
    const now = Date.now();
    return usage(daemon.world.usage, (since as number | null) ?? now - 30 * DAY, now);
  },
  local_api: (daemon) => daemon.world.api.local,
  api_request_list: (daemon) => daemon.world.api.requests,
  key_list: (daemon) => daemon.world.api.keys,
  key_create(daemon, { name, scopes }) {
    const { api } = daemon.world;
    const wanted = String(name).trim();
    if (wanted === "") refuse("invalid_argument", "A key needs a name, for example that of the program.");
    if (api.keys.some((one) => one.name === wanted))
      refuse("conflict", `There is a key “${wanted}” already. Choose another name, or revoke that one.`);
    const all: KeyScope[] = ["chat", "embeddings", "models"];
    const key = {
      name: wanted,
      created_at: Date.now(),
      last_used_at: null,
      scopes: (scopes as KeyScope[] | null) ?? all,
    };
    api.keys = [...api.keys, key];
    return { ...key, secret: "mol-7f2c19be4d0a4c8fb3d15a6e902c7781" };
  },
  key_revoke(daemon, { name }) {
    const { api } = daemon.world;
    const gone = found(
      api.keys.find((one) => one.name === name),
      "key",
    );
    api.keys = api.keys.filter((one) => one !== gone);
    return gone;
  },
};
