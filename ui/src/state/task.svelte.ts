import type { Failure } from "../ipc/backend";
import { toFailure } from "../ipc/backend";

/** Something a person started: whether it still runs and why it failed. One at a time; a second start is ignored. */
export class Task {
  busy = $state(false);
  error = $state.raw<Failure>();

  /** Runs `work`; false when it failed or another still runs. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.error = undefined;
    try {
      await work();
      return true;
    } catch (error) {
      this.error = toFailure(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  clear(): void {
    this.error = undefined;
  }
}
