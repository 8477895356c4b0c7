/** The invented daemon's requests about who belongs to a network, what was decided and how its devices are reached. */
import type { ActivityFilter, DoctorCheck, DoctorReport, NetworkSettings, SettingsPatch } from "../bindings";
import type { FakeDaemon } from "./daemon";
import { found, network, type Method } from "./found";
import { decision, TRAFFIC } from "./trust";
import { NOW } from "./world";

const check = (name: string, detail: string, more: Partial<DoctorCheck> = {}): DoctorCheck => ({
  name,
  ok: more.cause === undefined,
  detail,
  fix: null,
  cause: null,
  ...more,
});

const own: DoctorCheck[] = [
  check("daemon", "Version 0.1.0, listening at 192.168.1.23:41230."),
  check("engine", "Nothing answers at http://127.0.0.1:11434.", {
    fix: "Start Ollama, or remove this engine.",
    cause: "engine_down",
  }),
  check("network", "2 of 3 other devices are connected."),
];

const unheard = check("multicast", "No multicast route: devices on this local network cannot be found.", {
  fix: "Add one (ip route add 224.0.0.0/4 dev wlan0), or use an invite.",
  cause: "multicast_missing",
});

/** The stages against a member, as far as it can be reached. */
function member(name: string): DoctorCheck[] {
  const seen = check("found", `An address of ${name} is known.`);
  if (name === "Phone") {
    return [
      seen,
      check("reachable", "Nothing answers at its 2 addresses.", {
        fix: "Wake Phone, or bring it back onto the network.",
        cause: "no_route",
      }),
    ];
  }
  const direct =
    name === "Attic server"
      ? check("direct", "It is reached only through relay.example.org.", {
          fix: "Answers start a little later. A port opened on one of the two routers would help.",
          cause: "relayed",
        })
      : check("direct", "The path is direct.");
  return [
    seen,
    check("reachable", "It answers in 4 ms."),
    direct,
    check("admitted", "It counts this device as a member."),
    check("answering", "It lends 3 models."),
  ];
}

const toInvite: DoctorCheck[] = [
  check("found", "The invite names 2 addresses."),
  check("reachable", "Nothing answers at either of them.", {
    fix: "Start MyOwnLLM on the device that made the invite, and check that both are on one network.",
    cause: "no_route",
  }),
];

function examine(daemon: FakeDaemon, target: unknown): DoctorReport {
  const device = daemon.world.devices.find((one) => one.device_id === target);
  const checks =
    target === null || target === undefined
      ? [...own, ...(daemon.world.multicast === false ? [unheard] : [])]
      : String(target).startsWith("myownllm://")
        ? toInvite
        : member(found(device, "device").name);
  const lines = checks.map((one) => `${one.ok ? "ok    " : "failed"} ${one.name}: ${one.detail}`);
  return {
    checks,
    report: ["MyOwnLLM 0.1.0 on Linux", ...lines].join("\n").replaceAll(/Phone|Desk|Attic server/g, "D1"),
  };
}

function remove(daemon: FakeDaemon, key: unknown): unknown {
  const { world } = daemon;
  const gone = found(
    world.devices.find((one) => one.device_id === key),
    "device",
  );
  world.devices = world.devices.filter((one) => one !== gone);
  const others = world.devices.filter((one) => !one.this_device);
  const names = (state: boolean): string[] =>
    others.filter((one) => (one.state === "online") === state).map((one) => one.name);
  const heard = { acknowledged: names(true), waiting: names(false) };
  world.decisions.unshift(
    decision({
      id: daemon.newId("r"),
      kind: "removed",
      subject_id: gone.device_id,
      text: `${gone.name} was removed.`,
      ...heard,
    }),
  );
  daemon.emit({ event: "devices_changed" });
  daemon.emit({ event: "decisions_changed" });
  return { device_id: gone.device_id, device_name: gone.name, ...heard };
}

export const TRUST_METHODS: Record<string, Method> = {
  network_kind(daemon, { network: key, kind }) {
    const changed = network(daemon, key);
    changed.kind = kind as never;
    daemon.world.decisions.unshift(
      decision({
        id: daemon.newId("r"),
        kind: "kind",
        text: `${changed.name} became ${kind === "open" ? "an open" : "a closed"} network.`,
      }),
    );
    daemon.emit({ event: "networks_changed" });
    daemon.emit({ event: "decisions_changed" });
    return changed;
  },
  network_settings(daemon, { network: key, patch }) {
    const changed = network(daemon, key);
    const given = Object.entries(patch as SettingsPatch).filter(([, value]) => value !== null);
    changed.settings = { ...changed.settings, ...(Object.fromEntries(given) as Partial<NetworkSettings>) };
    if (changed.settings.lookup === "") changed.settings.lookup = null;
    const known = new Map(daemon.world.relays.map((relay) => [relay.url, relay]));
    daemon.world.relays = changed.settings.relays.map(
      (url) =>
        known.get(url) ?? { url, own: false, state: "standby", reason: "Used when the first one fails." },
    );
    daemon.emit({ event: "networks_changed" });
    daemon.emit({ event: "relays_changed" });
    return changed;
  },
  decision_list: (daemon) => daemon.world.decisions,
  device_remove: (daemon, { device: key }) => remove(daemon, key),
  device_role(daemon, { device: key, role }) {
    const changed = found(
      daemon.world.devices.find((one) => one.device_id === key),
      "device",
    );
    changed.role = role as never;
    daemon.world.decisions.unshift(
      decision({
        id: daemon.newId("r"),
        kind: "role",
        subject_id: changed.device_id,
        text: `${changed.name} became ${role}.`,
      }),
    );
    daemon.emit({ event: "devices_changed" });
    daemon.emit({ event: "decisions_changed" });
    return changed;
  },
  nearby_list: (daemon) => daemon.world.nearby,
  nearby_join(daemon, { device: key }) {
    const near = found(
      daemon.world.nearby.find((one) => one.device_id === key),
      "device nearby",
    );
    return daemon.playJoin(near.network ?? "", near.device_name);
  },
  relay_list: (daemon) => daemon.world.relays,
  connection_list(daemon) {
    const elapsed = daemon.plays ? (Date.now() - NOW) / 1000 : 0;
    return daemon.world.connections.map((one) => {
      const { up, down } = TRAFFIC[one.device_id] ?? { up: 0, down: 0 };
      return {
        ...one,
        sent_bytes: Math.round(one.sent_bytes + up * elapsed),
        received_bytes: Math.round(one.received_bytes + down * elapsed),
      };
    });
  },
  activity_list(daemon, { filter }) {
    const { kinds = [], device, search, before, limit } = filter as ActivityFilter;
    const wanted = (search ?? "").toLowerCase();
    return daemon.world.activities
      .filter((one) => kinds.length === 0 || kinds.includes(one.kind))
      .filter((one) => !device || one.device_id === device)
      .filter((one) => `${one.text} ${one.device_name ?? ""}`.toLowerCase().includes(wanted))
      .filter((one) => !before || one.id < before)
      .slice(0, limit ?? 100);
  },
  doctor: (daemon, { device }) => examine(daemon, device),
};
