import { type Backend, ok, orNone } from "../ipc/backend";
import type { DoctorCheck, NearbyDevice } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** Devices that announce themselves on the local network. */
export class Nearby {
  readonly list: Remote<NearbyDevice[]>;
  /** What keeps devices from being found here, where the daemon knows of something. */
  readonly obstacle: Remote<DoctorCheck | undefined>;

  constructor(backend: Backend) {
    this.list = new Remote<NearbyDevice[]>([], () => orNone(backend.commands.nearbyList(), "no_network", []));
    this.obstacle = new Remote<DoctorCheck | undefined>(undefined, async () => {
      const { checks } = await ok(backend.commands.doctor(null));
      return checks.find((check) => check.cause === "multicast_missing");
    });
  }

  /** Those whose network this device could join, one for each network and device. */
  joinable(isMember: (network: string) => boolean): NearbyDevice[] {
    return this.list.value.filter(
      (one) => one.network_id !== null && !one.member && !isMember(one.network_id),
    );
  }

  /** A device that announces `network`. */
  announcing(network: string): NearbyDevice | undefined {
    return this.list.value.find((one) => one.network_id === network);
  }

  /** Reads the list, and where it is empty also why. */
  look = async (): Promise<void> => {
    await this.list.refresh();
    if (this.list.value.length === 0) await this.obstacle.refresh();
  };
}
