import { type Backend, orNone } from "../ipc/backend";
import type { Capabilities as Told } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** What the members say they can do. */
export class Capabilities {
  readonly list: Remote<Told[]>;

  constructor(backend: Backend) {
    this.list = new Remote<Told[]>([], () => orNone(backend.commands.capabilityList(), "no_network", []));
  }

  of(device: string): Told | undefined {
    return this.list.value.find((one) => one.device_id === device);
  }
}
