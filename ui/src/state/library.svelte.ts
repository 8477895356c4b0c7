import { type Backend, ok } from "../ipc/backend";
import type { KeptModel, Model, ModelFamily, ModelImported, ModelRemoved, ModelShelf } from "../ipc/bindings";
import { Get } from "./get.svelte";
import { Remote } from "./remote.svelte";

const EMPTY: ModelShelf = {
  models: [],
  folder: "",
  used_bytes: 0,
  free_bytes: null,
  catalogue: { url: null, fetched_at: null, due_at: null, error: null },
};

/** Models that nobody used for so long are suggested for deletion. */
const LONG_DAYS = 30;

/** Whether a model only takes room: nobody used it for long, and nobody said that it should stay. */
export const idle = (model: KeptModel): boolean =>
  model.unused_days >= LONG_DAYS && !model.pinned && !model.demo && model.state !== "downloading";

/** The models of this device, those of the catalogue, and those on their way here. */
export class Library {
  readonly shelf: Remote<ModelShelf>;
  readonly families: Remote<ModelFamily[]>;
  search = $state("");
  /** What is downloaded in this window, or was until it was paused or failed. */
  gets = $state.raw<Get[]>([]);
  #backend: Backend;
  /** Whether anybody has looked at the catalogue. */
  #looked = false;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.shelf = new Remote(EMPTY, () => ok(backend.commands.modelShelf()));
    this.families = new Remote<ModelFamily[]>([], () =>
      ok(backend.commands.modelSearch(this.search.trim() || null)),
    );
  }

  /** What is here, without what this window shows as a download. */
  get models(): KeptModel[] {
    const coming = new Set(this.gets.map((get) => get.variant));
    return this.shelf.value.models.filter(
      (model) => model.state !== "downloading" || model.variant === null || !coming.has(model.variant),
    );
  }

  /** Reads what is here, and the catalogue if anybody has looked at it. */
  async refresh(): Promise<void> {
    await Promise.all([this.shelf.refresh(), ...(this.#looked ? [this.families.refresh()] : [])]);
    for (const { state, variant } of this.shelf.value.models)
      if (state === "downloading" && variant !== null && !this.get(variant)) void this.#begin(variant, null);
  }

  look(): void {
    this.#looked = true;
    void this.families.refresh();
  }

  find(text: string): void {
    this.search = text;
    this.look();
  }

  get(variant: string): Get | undefined {
    return this.gets.find((one) => one.variant === variant);
  }

  /** Downloads a variant, or goes on with it. `from` is `null` for automatic, `hub`, or a device. */
  start(variant: string, from: string | null): Promise<void> {
    const before = this.get(variant);
    return before ? before.start(from) : this.#begin(variant, from);
  }

  /** Takes a download that does not run off the list. */
  forget(get: Get): void {
    this.gets = this.gets.filter((one) => one !== get);
  }

  /** Goes on listening after a lost line. */
  resume(): void {
    for (const get of this.gets) get.follow();
  }

  async pin(model: KeptModel, on: boolean): Promise<void> {
    this.#put(await ok(this.#backend.commands.modelPin(model.id, on)));
  }

  async load(model: KeptModel): Promise<void> {
    this.#put(await ok(this.#backend.commands.modelLoad(model.id)));
  }

  async unload(model: KeptModel): Promise<void> {
    this.#put(await ok(this.#backend.commands.modelUnload(model.id)));
  }

  async remove(model: KeptModel): Promise<ModelRemoved> {
    const removed = await ok(this.#backend.commands.modelRemove(model.id));
    await this.refresh();
    return removed;
  }

  async import(path: string): Promise<ModelImported> {
    const imported = await ok(this.#backend.commands.modelImport(path.trim()));
    await this.refresh();
    return imported;
  }

  /** Takes a catalogue from a URL in as well, or (with an empty one) only the bundled one. */
  async source(url: string): Promise<void> {
    await ok(this.#backend.commands.catalogueSource(url.trim() || null));
    await this.refresh();
  }

  async #begin(variant: string, from: string | null): Promise<void> {
    const get = new Get(this.#backend, variant, from, () => {
      if (get.note === undefined) this.forget(get);
      void this.refresh();
    });
    this.gets = [...this.gets, get];
    await get.start();
  }

  #put(model: KeptModel): void {
    const { value } = this.shelf;
    this.shelf.value = {
      ...value,
      models: value.models.map((one) => (one.id === model.id ? model : one)),
    };
  }
}

/** Names of the devices that offer the files of a variant. */
export const holders = (variant: string, models: Model[]): Model[] =>
  models.filter(
    (model) =>
      !model.this_device &&
      model.id.toLowerCase() === variant &&
      model.state !== "downloading" &&
      model.state !== "failed",
  );
