/** What the invented devices are made of, can do, and show of their conversations; how far each is. */
import type {
  Capabilities,
  DeviceSummary,
  DeviceSync,
  Hardware,
  Model,
  ShownConversation,
} from "../bindings";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const GIB = 1024 ** 3;

const hardware = (more: Partial<Hardware>): Hardware => ({
  cpu: { name: "AMD Ryzen 7 7840U", architecture: "x86_64", cores: 8, threads: 16 },
  memory_bytes: 32 * GIB,
  gpus: [],
  npu: null,
  battery: null,
  ...more,
});

export const LAPTOP = hardware({
  gpus: [{ name: "Radeon 780M", vendor: "amd", vram_bytes: null, unified: true }],
  npu: "AMD XDNA",
  battery: { percent: 71, on_mains: false },
});

const MADE: Record<string, Hardware> = {
  Laptop: LAPTOP,
  Desk: hardware({
    cpu: { name: "AMD Ryzen 9 7950X", architecture: "x86_64", cores: 16, threads: 32 },
    memory_bytes: 64 * GIB,
    gpus: [{ name: "GeForce RTX 4090", vendor: "nvidia", vram_bytes: 24 * GIB, unified: false }],
  }),
  "Attic server": hardware({
    cpu: { name: "Intel Xeon E-2336", architecture: "x86_64", cores: 6, threads: 12 },
    memory_bytes: 128 * GIB,
    gpus: [
      { name: "Tesla P40", vendor: "nvidia", vram_bytes: 24 * GIB, unified: false },
      { name: "Tesla P40", vendor: "nvidia", vram_bytes: 24 * GIB, unified: false },
    ],
  }),
};

const FEATURES = ["documents", "resume", "relay"];

/** What a device says; one that was never met says nothing. */
export function capabilities(device: DeviceSummary, models: Model[], now: number): Capabilities {
  const old = device.name === "Phone";
  const engines = [...new Set(models.map((model) => model.engine))].map((engine) => ({
    id: engine,
    kind: engine === "builtin" ? ("llama-server" as const) : ("ollama" as const),
    state: "ready" as const,
    models: models
      .filter((model) => model.engine === engine)
      .map(({ id, state, context_length, size_bytes }) => ({ id, state, context_length, size_bytes })),
  }));
  return {
    device_id: device.device_id,
    device_name: device.name,
    this_device: device.this_device,
    updated_at: now - (old ? 3 * HOUR : 5 * MINUTE),
    app_version: old ? "0.0.9" : "0.1.0",
    protocol: 1,
    features: old ? [] : FEATURES,
    hardware: MADE[device.name] ?? null,
    engines,
    transcription: device.name === "Desk",
    microphone: device.name === "Attic server" ? false : old ? null : true,
    accepting: device.accepting,
    difference: old
      ? "Phone has version 0.0.9, which is older than 0.1.0 here: it knows no prompts and no permissions."
      : null,
  };
}

const shown = (
  device: DeviceSummary,
  key: string,
  title: string,
  folder: string | null,
  updated_at: number,
): ShownConversation => ({
  device_id: device.device_id,
  device_name: device.name,
  id: key,
  title,
  folder,
  updated_at,
  size_bytes: 12_000,
});

export function shownBy(devices: DeviceSummary[], now: number): ShownConversation[] {
  const desk = devices.find((one) => one.name === "Desk");
  const attic = devices.find((one) => one.name === "Attic server");
  return [
    ...(desk
      ? [
          shown(desk, "d1", "Tax return, what is still missing", "Paperwork", now - 35 * MINUTE),
          shown(desk, "d2", "Release notes for 2.4", "Work", now - 5 * HOUR),
          shown(desk, "d3", "Birthday speech for Mira", null, now - 2 * DAY),
        ]
      : []),
    ...(attic ? [shown(attic, "e1", "Backup script that verifies itself", "House", now - 6 * DAY)] : []),
  ];
}

/** How far a member is: the server lags behind, the phone is too old. */
export function syncOf(device: DeviceSummary, gossip: boolean): DeviceSync {
  const of = { device_id: device.device_id, device_name: device.name, online: device.state === "online" };
  if (!gossip) return { ...of, state: "off", behind: 0, reason: "Switched off on this device." };
  if (device.name === "Attic server")
    return { ...of, state: "behind", behind: 3, reason: "It has not got 3 records of this device yet." };
  if (device.name === "Phone")
    return {
      ...of,
      state: "unsupported",
      behind: 0,
      reason: "Its version 0.0.9 knows no documents. Update the app there.",
    };
  if (!of.online) return { ...of, state: "unknown", behind: 0, reason: "Not met since this device joined." };
  return {
    ...of,
    state: "equal",
    behind: 0,
    reason: "Compared a minute ago: it has everything that is here.",
  };
}
