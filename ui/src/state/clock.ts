import { createSubscriber } from "svelte/reactivity";

/** The time in milliseconds, read reactively: whatever shows it is drawn again every second, and only while it is shown. */
class Clock {
  #subscribe = createSubscriber((update) => {
    const timer = setInterval(update, 1000);
    return () => clearInterval(timer);
  });

  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const clock = new Clock();
