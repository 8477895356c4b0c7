import type { Failure } from "../ipc/backend";
import { toFailure } from "../ipc/backend";

/**
 * A value that the daemon owns, as last read. `refresh` reads it again; calls during a read are folded into one more
 * read after it, so a burst of change events costs two requests at most and the newest answer always wins.
 */
export class Remote<T> {
  value: T = $state.raw() as T;
  /** Whether it was read at least once. */
  loaded = $state(false);
  /** Why the last read failed; the value is then the last good one. */
  error = $state.raw<Failure>();
  #read: () => Promise<T>;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(initial: T, read: () => Promise<T>) {
    this.value = initial;
    this.#read = read;
  }

  refresh = (): Promise<void> => {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#loop().finally(() => (this.#running = undefined));
    return this.#running;
  };

  async #loop(): Promise<void> {
    do {
      this.#again = false;
      try {
        this.value = await this.#read();
        this.loaded = true;
        this.error = undefined;
      } catch (error) {
        this.error = toFailure(error);
      }
    } while (this.#again);
  }
}
