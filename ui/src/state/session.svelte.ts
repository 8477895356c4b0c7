import { type Backend, ok, type Stop } from "../ipc/backend";
import type { EventItem, Phase, ShellState, Status } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

const RETRY_MS = 1000;

/**
 * The line to the daemon: what the shell says of it, what it says of itself, and the stream of events. When the line
 * comes back after a loss, `attached` runs again and everything is read anew.
 */
export class Session {
  shell = $state.raw<ShellState>({
    state: "starting",
    message: "",
    code: null,
    expected: "",
    found: null,
    log_path: null,
  });
  readonly status: Remote<Status | undefined>;
  /** Whether the daemon was reached at least once since the window opened. */
  met = $state(false);
  #backend: Backend;
  #stop: Stop = () => undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.status = new Remote<Status | undefined>(undefined, () => ok(backend.commands.status()));
  }

  /** The phase of the status pill: the daemon's own, unless the shell knows that there is none. */
  get phase(): Phase {
    if (this.shell.state === "starting") return "starting";
    if (this.shell.state === "lost") return "starting";
    if (this.shell.state !== "attached") return "off";
    return this.status.value?.phase ?? "starting";
  }

  /** Why, as a sentence. */
  get reason(): string {
    if (this.shell.state !== "attached") return this.shell.message;
    return this.status.value?.reason ?? "";
  }

  get attached(): boolean {
    return this.shell.state === "attached";
  }

  /** Begins to listen. `attached` runs whenever the daemon is (again) there, `event` for all that happens then. */
  start(attached: () => void, event: (item: EventItem) => void): Stop {
    const told = (state: ShellState): void => {
      const before = this.shell.state;
      this.shell = state;
      if (state.state === "attached" && (before !== "attached" || !this.met)) {
        this.met = true;
        this.#follow(attached, event);
      } else if (state.state !== "attached") {
        this.#stop();
      }
    };
    const stopListening = this.#backend.onShellState(told);
    void this.#backend.shellState().then(told);
    return () => {
      stopListening();
      this.#stop();
    };
  }

  /** Takes over the phase that an event told. */
  setPhase(phase: Phase, reason: string): void {
    const { value } = this.status;
    if (value) this.status.value = { ...value, phase, reason };
  }

  /** Ends the daemon and starts it again; with `apiPort` 0 its local API takes a free port. */
  restart(apiPort?: number): Promise<void> {
    return this.#backend.restartDaemon(apiPort);
  }

  async stopDaemon(): Promise<void> {
    await ok(this.#backend.commands.daemonStop());
  }

  /** Listens first and reads then, so that nothing falls between the two. */
  #follow(attached: () => void, event: (item: EventItem) => void): void {
    this.#stop();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const stop = this.#backend.followEvents(0, {
      item: event,
      opened: attached,
      ended: () => {
        retry = setTimeout(() => this.#follow(attached, event), RETRY_MS);
      },
    });
    this.#stop = () => {
      clearTimeout(retry);
      stop();
    };
  }
}
