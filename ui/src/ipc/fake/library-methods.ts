/** The invented daemon's requests about the models that are kept here and those that can be had. */
import type { KeptModel, ModelFamily, ModelGetEvent, ModelVariant } from "../bindings";
import type { FakeDaemon } from "./daemon";
import { found, type Method, refuse } from "./found";
import { kept } from "./library";

const MEGABYTES_PER_S = 41;

const find = (daemon: FakeDaemon, key: unknown): KeptModel =>
  found(
    daemon.world.library.shelf.models.find((one) => one.id === key || one.variant === key),
    "model",
  );

function change(daemon: FakeDaemon, key: unknown, to: Partial<KeptModel>): KeptModel {
  const next = { ...find(daemon, key), ...to };
  put(
    daemon,
    daemon.world.library.shelf.models.map((one) => (one.id === next.id ? next : one)),
  );
  return next;
}

function put(daemon: FakeDaemon, models: KeptModel[]): void {
  const { library } = daemon.world;
  const sorted = [...models].sort((a, b) => (b.size_bytes ?? 0) - (a.size_bytes ?? 0));
  const used = sorted
    .filter((one) => !one.imported && !one.demo)
    .reduce((sum, one) => sum + (one.size_bytes ?? 0), 0);
  library.shelf = { ...library.shelf, models: sorted, used_bytes: used };
  daemon.emit({ event: "shelf_changed" });
}

/** The catalogue, with what is here now. */
function catalogue(daemon: FakeDaemon): ModelFamily[] {
  const here = new Set(daemon.world.library.shelf.models.map((one) => one.variant));
  return daemon.world.library.families.map((family) => ({
    ...family,
    models: family.models.map((model) => ({
      ...model,
      variants: model.variants.map((variant) => ({ ...variant, here: here.has(variant.id) })),
    })),
  }));
}

function search(daemon: FakeDaemon, wanted: string): ModelFamily[] {
  const words = wanted.toLowerCase().split(/\s+/);
  return catalogue(daemon)
    .map((family) => ({
      ...family,
      models: family.models.filter((model) => {
        const text = [
          family.name,
          family.publisher,
          family.licence,
          ...family.purposes,
          model.id,
          model.name,
        ];
        return words.every((word) => text.join("\n").toLowerCase().includes(word));
      }),
    }))
    .filter((family) => family.models.length > 0);
}

function variantOf(daemon: FakeDaemon, key: unknown): ModelVariant {
  const all = daemon.world.library.families.flatMap((family) => family.models);
  const named = all.flatMap((model) => model.variants).find((variant) => variant.id === key);
  return found(named ?? all.find((model) => model.id === key)?.variants[0], "model");
}

/** Downloads by their id: which variant, where from, and whether they were stopped. */
const gets = new WeakMap<FakeDaemon, Map<string, { variant: string; arrived: number; stopped: boolean }>>();

function start(daemon: FakeDaemon, key: unknown, from: unknown): string {
  const variant = variantOf(daemon, key);
  const all = gets.get(daemon) ?? new Map();
  gets.set(daemon, all);
  for (const [id, get] of all)
    if (get.variant === variant.id && !daemon.over(`model_get:${id}`)) return id as string;
  const before = [...all.values()].find((get) => get.variant === variant.id);
  const id = daemon.newId("g");
  daemon.openStream("model_get", id);
  const get = { variant: variant.id, arrived: before?.arrived ?? 0, stopped: false };
  all.set(id, get);
  const device = daemon.world.devices.find((one) => one.device_id === from || one.name === from);
  const source = device?.name ?? (from === "ollama" ? "ollama" : "hub");
  const tell = (state: "asking" | "downloading" | "verifying", rate: number): void =>
    daemon.get(id, {
      type: "progress",
      variant: variant.id,
      source,
      state,
      bytes: Math.round(get.arrived),
      total: variant.size_bytes,
      rate,
    });
  tell("asking", 0);
  if (daemon.plays) play(daemon, id, variant, get, tell);
  return id;
}

function play(
  daemon: FakeDaemon,
  id: string,
  variant: ModelVariant,
  get: { arrived: number; stopped: boolean },
  tell: (state: "downloading" | "verifying", rate: number) => void,
): void {
  const timer = setInterval(() => {
    if (get.stopped) return clearInterval(timer);
    get.arrived = Math.min(variant.size_bytes, get.arrived + (MEGABYTES_PER_S * 1_000_000) / 4);
    tell("downloading", MEGABYTES_PER_S * 1_000_000);
    const broken = daemon.world.library.broken[variant.id];
    if (broken) {
      clearInterval(timer);
      get.stopped = true;
      daemon.get(id, broken);
    } else if (get.arrived >= variant.size_bytes) {
      clearInterval(timer);
      arrive(daemon, id, variant);
    }
  }, 250);
}

/** What was downloaded is here. */
function arrive(daemon: FakeDaemon, id: string, variant: ModelVariant): void {
  gets.get(daemon)?.delete(id);
  const model = kept(variant.id, { variant: variant.id, size_bytes: variant.size_bytes });
  put(daemon, [...daemon.world.library.shelf.models, model]);
  const path = model.path ?? "";
  const done: ModelGetEvent = {
    type: "done",
    variant: variant.id,
    model: model.id,
    path,
    sha256: "0".repeat(64),
    files: [],
  };
  daemon.get(id, done);
}

export const LIBRARY_METHODS: Record<string, Method> = {
  model_list: (daemon) => daemon.world.models,
  model_search: (daemon, { search: wanted }) => search(daemon, String(wanted ?? "").trim()),
  model_shelf: (daemon) => daemon.world.library.shelf,
  model_get_start: (daemon, { model, from }) => start(daemon, model, from),
  model_get_stop(daemon, { id }) {
    const get = gets.get(daemon)?.get(id as string);
    if (!get) return null;
    get.stopped = true;
    const total = variantOf(daemon, get.variant).size_bytes;
    daemon.get(id as string, { type: "paused", bytes: Math.round(get.arrived), total });
    return null;
  },
  model_remove(daemon, { model: key }) {
    const gone = find(daemon, key);
    if (gone.demo) refuse("not_allowed", "The demo model belongs to the app and cannot be deleted.");
    put(
      daemon,
      daemon.world.library.shelf.models.filter((one) => one.id !== gone.id),
    );
    return { files: [gone.path ?? ""], freed_bytes: gone.imported ? 0 : (gone.size_bytes ?? 0) };
  },
  model_import(daemon, { path }) {
    const text = String(path);
    if (!text.endsWith(".gguf"))
      refuse("invalid_argument", `${text} is not a GGUF file. Choose a model whose name ends with .gguf.`);
    const id =
      text
        .split(/[\\/]/)
        .at(-1)
        ?.replace(/\.gguf$/, "") ?? text;
    put(daemon, [...daemon.world.library.shelf.models, kept(id, { path: text, imported: true })]);
    return { model: id, path: text };
  },
  model_pin: (daemon, { model, on }) => change(daemon, model, { pinned: on as boolean }),
  model_load: (daemon, { model }) => change(daemon, model, { state: "ready", percent: null, reason: null }),
  model_unload: (daemon, { model }) => change(daemon, model, { state: "available", percent: null }),
  catalogue_source(daemon, { url }) {
    const text = (url as string | null)?.trim() || null;
    if (text !== null && !/^https?:\/\//.test(text))
      refuse("invalid_argument", "The address of a catalogue starts with https:// or http://.");
    const now = Date.now();
    const source = {
      url: text,
      fetched_at: text === null ? null : now,
      due_at: text === null ? null : now + 7 * 86_400_000,
      error: null,
    };
    daemon.world.library.shelf = { ...daemon.world.library.shelf, catalogue: source };
    daemon.emit({ event: "shelf_changed" });
    return source;
  },
};
