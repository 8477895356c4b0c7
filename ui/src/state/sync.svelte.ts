import { type Backend, ok, orNone } from "../ipc/backend";
import type { DeviceSync, SyncStatus } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** Whether the documents of the active network leave and enter this device, and how far each member is. */
export class Sync {
  readonly status: Remote<SyncStatus | undefined>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.status = new Remote<SyncStatus | undefined>(undefined, () =>
      orNone<SyncStatus | undefined>(backend.commands.syncStatus(), "no_network", undefined),
    );
  }

  of(device: string): DeviceSync | undefined {
    return this.status.value?.devices.find((one) => one.device_id === device);
  }

  async set(on: boolean): Promise<void> {
    this.status.value = await ok(this.#backend.commands.syncSet(on));
  }
}
