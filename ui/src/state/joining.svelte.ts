import { type Backend, Failure, ok, type Stop } from "../ipc/backend";
import type { JoinItem, NearbyDevice } from "../ipc/bindings";

export type JoinStep = "finding" | "connected" | "knocking" | "joined";

/** This device on its way into a network: the knocking side. It survives a lost line by resuming where it stopped. */
export class Joining {
  /** The step it is in; undefined while nothing is being joined. */
  step = $state<JoinStep>();
  network = $state("");
  /** Device that answered. */
  device = $state("");
  code = $state("");
  expiresAt = $state(0);
  error = $state.raw<Failure>();
  /** Why a pre-approved invite did not admit at once. */
  note = $state<string | null>(null);
  /** The invite it was started with; undefined for a device nearby. Kept after a failure, to find out why. */
  invite = $state<string>();
  /** An invite that was opened as a link and waits to be used. */
  offered = $state<string>();
  #backend: Backend;
  #id: string | undefined;
  #seq = 0;
  #stop: Stop = () => undefined;
  #joined: () => void;

  /** `joined` runs when this device became a member. */
  constructor(backend: Backend, joined: () => void) {
    this.#backend = backend;
    this.#joined = joined;
  }

  /** Whether it is under way. */
  get active(): boolean {
    return this.step !== undefined && this.step !== "joined" && !this.error;
  }

  /** Starts with an invite. Throws when the invite itself is refused. */
  async start(invite: string): Promise<void> {
    this.reset();
    this.invite = invite.trim();
    this.offered = undefined;
    this.#begin(await ok(this.#backend.commands.joinStart(this.invite)));
  }

  /** Knocks at the network that a device nearby announces. */
  async startNearby(device: NearbyDevice): Promise<void> {
    this.reset();
    this.#begin(await ok(this.#backend.commands.nearbyJoin(device.device_id)));
    this.network = device.network ?? "";
  }

  /** Withdraws the knock. */
  async cancel(): Promise<void> {
    const id = this.#id;
    this.reset();
    if (id !== undefined) await ok(this.#backend.commands.joinStop(id));
  }

  /** Forgets what was; nothing is being joined any more. */
  reset(): void {
    this.#stop();
    this.#id = undefined;
    this.#seq = 0;
    this.step = undefined;
    this.note = null;
    this.invite = undefined;
    this.network = this.device = this.code = "";
    this.expiresAt = 0;
    this.error = undefined;
  }

  /** Subscribes again after the line was lost. */
  resume(): void {
    if (this.#id !== undefined && this.active) this.#follow();
  }

  #begin(id: string): void {
    this.#id = id;
    this.step = "finding";
    this.#follow();
  }

  #follow(): void {
    this.#stop();
    if (this.#id === undefined) return;
    this.#stop = this.#backend.followJoin(this.#id, this.#seq, {
      item: (item) => this.#apply(item),
      ended: ({ code, message }) => {
        if (code !== "no_daemon") this.error = new Failure(code, message);
      },
    });
  }

  #apply(item: JoinItem): void {
    if (item.seq <= this.#seq) return;
    this.#seq = item.seq;
    switch (item.event) {
      case "finding":
        this.network = item.network;
        break;
      case "connected":
        this.step = "connected";
        this.device = item.device_name;
        break;
      case "knocking":
        this.step = "knocking";
        this.code = item.code;
        this.expiresAt = item.expires_at;
        this.note = item.invite;
        break;
      case "joined":
        this.step = "joined";
        this.network = item.network;
        this.#stop();
        this.#joined();
        break;
      case "failed":
        this.error = new Failure(item.error.code, item.error.message);
        this.#stop();
        break;
    }
  }
}
