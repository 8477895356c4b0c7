import { type Backend, Failure, ok, type Stop } from "../ipc/backend";
import type { JoinItem } from "../ipc/bindings";

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
    this.#id = await ok(this.#backend.commands.joinStart(invite.trim()));
    this.step = "finding";
    this.#follow();
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
    this.network = this.device = this.code = "";
    this.expiresAt = 0;
    this.error = undefined;
  }

  /** Subscribes again after the line was lost. */
  resume(): void {
    if (this.#id !== undefined && this.active) this.#follow();
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
