import { type Backend, Failure, ok, type Stop, toFailure } from "../ipc/backend";
import type { ModelGetItem, ModelGetState } from "../ipc/bindings";

export type GetPhase = ModelGetState | "starting" | "paused" | "done" | "failed";

/** One model on its way to this device. What has arrived stays when it is paused or fails. */
export class Get {
  phase = $state<GetPhase>("starting");
  bytes = $state(0);
  total = $state<number | null>(null);
  /** Bytes a second lately. */
  rate = $state(0);
  /** `hub`, `ollama`, or the name of a device. */
  source = $state("");
  error = $state.raw<Failure>();
  /** What to know about where it came from, once it is here. */
  note = $state<string>();
  #backend: Backend;
  #id: string | undefined;
  #seq = 0;
  #stop: Stop = () => undefined;
  #over: () => void;

  /** `over` runs when it is done. */
  constructor(
    backend: Backend,
    /** Id of what is downloaded. */
    readonly variant: string,
    /** What was chosen as the source. */
    public from: string | null,
    over: () => void,
  ) {
    this.#backend = backend;
    this.#over = over;
  }

  /** Whether it waits, fetches or verifies. */
  get running(): boolean {
    return !["paused", "done", "failed"].includes(this.phase);
  }

  get percent(): number | null {
    return this.total === null || this.total === 0 ? null : Math.min(100, (100 * this.bytes) / this.total);
  }

  /** Seconds until it is here at this rate; undefined where that cannot be said. */
  get left(): number | undefined {
    if (this.phase !== "downloading" || this.total === null || this.rate <= 0) return undefined;
    return (this.total - this.bytes) / this.rate;
  }

  /** Starts it, or goes on with it; one that runs already is followed. */
  async start(from: string | null = this.from): Promise<void> {
    this.from = from;
    this.phase = "starting";
    this.error = undefined;
    try {
      this.#id = await ok(this.#backend.commands.modelGetStart(this.variant, from));
      this.#seq = 0;
      this.follow();
    } catch (error) {
      this.#fail(toFailure(error));
    }
  }

  /** Stops it; what has arrived stays. */
  async pause(): Promise<void> {
    if (this.#id !== undefined) await ok(this.#backend.commands.modelGetStop(this.#id));
  }

  /** Subscribes after the last event seen; also after a lost line. */
  follow(): void {
    this.#stop();
    if (this.#id === undefined || !this.running) return;
    this.#stop = this.#backend.followGet(this.#id, this.#seq, {
      item: (item) => this.#apply(item),
      ended: ({ code, message }) => {
        if (code !== "no_daemon") this.#fail(new Failure(code, message));
      },
    });
  }

  #apply(item: ModelGetItem): void {
    if (item.seq <= this.#seq) return;
    this.#seq = item.seq;
    switch (item.type) {
      case "progress":
        this.phase = item.state;
        this.bytes = item.bytes;
        this.total = item.total;
        this.rate = item.rate;
        this.source = item.source;
        break;
      case "paused":
        this.phase = "paused";
        this.bytes = item.bytes;
        this.total = item.total ?? this.total;
        this.#stop();
        break;
      case "done":
        this.phase = "done";
        this.note = item.note ?? undefined;
        this.#stop();
        this.#over();
        break;
      case "error":
        this.#fail(new Failure(item.code, item.message));
        break;
    }
  }

  #fail(error: Failure): void {
    this.phase = "failed";
    this.error = error;
    this.#stop();
  }
}
