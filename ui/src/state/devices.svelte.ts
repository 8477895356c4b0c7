import { type Backend, ok, orNone } from "../ipc/backend";
import type { Accepting, DeviceSummary, Removal, Role } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** The devices of the active network. Without a network there is still this one. */
export class Devices {
  readonly list: Remote<DeviceSummary[]>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<DeviceSummary[]>([], () =>
      orNone(backend.commands.deviceList(), "no_network", []),
    );
  }

  get own(): DeviceSummary | undefined {
    return this.list.value.find((device) => device.this_device);
  }

  get others(): DeviceSummary[] {
    return this.list.value.filter((device) => !device.this_device);
  }

  find(id: string | undefined): DeviceSummary | undefined {
    return this.list.value.find((device) => device.device_id === id);
  }

  async rename(name: string): Promise<void> {
    await ok(this.#backend.commands.deviceName(name.trim()));
    await this.list.refresh();
  }

  async accept(accepting: Accepting): Promise<void> {
    await ok(this.#backend.commands.acceptingSet(accepting));
    await this.list.refresh();
  }

  /** Removes a member; who has cut it off by then is told. */
  async remove(id: string): Promise<Removal> {
    const removal = await ok(this.#backend.commands.deviceRemove(id));
    await this.list.refresh();
    return removal;
  }

  async setRole(id: string, role: Role): Promise<void> {
    await ok(this.#backend.commands.deviceRole(id, role));
    await this.list.refresh();
  }
}
