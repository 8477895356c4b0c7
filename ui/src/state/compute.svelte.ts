import { type Backend, ok } from "../ipc/backend";
import type { Engine, EngineKind, Model } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** The engines of this device, and every model reachable now. */
export class Compute {
  readonly engines: Remote<Engine[]>;
  readonly models: Remote<Model[]>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.engines = new Remote<Engine[]>([], () => ok(backend.commands.engineList()));
    this.models = new Remote<Model[]>([], () => ok(backend.commands.modelList()));
  }

  /** Models of one device; its usable ones first. */
  on(device: string): Model[] {
    return this.models.value.filter((model) => model.device === device);
  }

  async add(url: string, kind: EngineKind | null, key: string): Promise<Engine> {
    const engine = await ok(
      this.#backend.commands.engineAdd({ url: url.trim(), kind, key: key === "" ? null : key }),
    );
    await this.engines.refresh();
    return engine;
  }

  async remove(id: string): Promise<void> {
    await ok(this.#backend.commands.engineRemove(id));
    await this.engines.refresh();
  }

  async test(id: string): Promise<Engine> {
    const engine = await ok(this.#backend.commands.engineTest(id));
    await this.engines.refresh();
    return engine;
  }
}
