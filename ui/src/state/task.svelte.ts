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

/** Changes that a person makes in quick succession: each waits for the one before, and none is dropped. */
export class Turns {
  /** Why the last one did not hold. */
  error = $state.raw<Failure>();
  #last: Promise<void> = Promise.resolve();

  run(work: () => Promise<unknown>): Promise<void> {
    const turn = async (): Promise<void> => {
      try {
        await work();
        this.error = undefined;
      } catch (error) {
        this.error = toFailure(error);
      }
    };
    this.#last = this.#last.then(turn);
    return this.#last;
  }
}
