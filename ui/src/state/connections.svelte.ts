import { type Backend, orNone, type Stop } from "../ipc/backend";
import type { Connection } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

const EVERY_MS = 1000;

/** A connection and what flows on it now, in bytes per second; undefined until two looks can be compared. */
export interface Flow extends Connection {
  up: number | undefined;
  down: number | undefined;
}

/** What flows between two looks at the same connections, `ms` apart. */
export function flows(before: Connection[], now: Connection[], ms: number): Flow[] {
  const old = new Map(before.map((one) => [one.device_id, one]));
  return now.map((one) => {
    const last = old.get(one.device_id);
    // A connection made anew counts from nothing, so its numbers cannot be compared with the old ones.
    if (!last || last.since !== one.since || ms <= 0) return { ...one, up: undefined, down: undefined };
    const rate = (from: number, to: number): number => (Math.max(0, to - from) / ms) * 1000;
    return {
      ...one,
      up: rate(last.sent_bytes, one.sent_bytes),
      down: rate(last.received_bytes, one.received_bytes),
    };
  });
}

/** The links of this device to the others. They are asked for only while somebody looks at them. */
export class Connections {
  readonly list: Remote<Flow[]>;
  #last: Connection[] = [];
  #lastAt = 0;

  constructor(backend: Backend) {
    this.list = new Remote<Flow[]>([], async () => {
      const now = await orNone(backend.commands.connectionList(), "no_network", []);
      const at = performance.now();
      const shown = flows(this.#last, now, at - this.#lastAt);
      this.#last = now;
      this.#lastAt = at;
      return shown;
    });
  }

  /** Looks every second until stopped, and not while the window is hidden. */
  watch(): Stop {
    this.#last = [];
    void this.list.refresh();
    const timer = setInterval(() => {
      if (!document.hidden) void this.list.refresh();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }
}
