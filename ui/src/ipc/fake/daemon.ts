/**
 * A daemon in memory, behind the same commands as the real one. Tests drive it by hand (`emit`, `answer`, `breakStreams`);
 * a scene of design work plays by itself.
 */
import type { Stop } from "../backend";
import type {
  AnswerEvent,
  ErrorCode,
  Event,
  JoinEvent,
  ModelGetEvent,
  ShellState,
  Status,
} from "../bindings";
import { type Host, type Params, shellState, type StreamName } from "../host";
import { pieces, REPLY, THINKING } from "./answers";
import { METHODS } from "./methods";
import { SCENES } from "./scenes";
import { home, type World } from "./world";

interface Log {
  items: unknown[];
  readers: Set<(item: unknown) => void>;
}

const newLog = (): Log => ({ items: [], readers: new Set() });

export class FakeDaemon implements Host {
  world: World;
  /** Every call in order, for assertions. */
  readonly calls: { method: string; params: Params }[] = [];
  /** Errors to throw at the next call of a method. */
  readonly refuse = new Map<string, { code: ErrorCode; message: string }>();
  #logs = new Map<string, Log>();
  #listeners: ((state: ShellState) => void)[] = [];
  #nextId = 100;
  #plays: boolean;

  constructor(world: World = home(), plays = false) {
    this.world = world;
    this.#plays = plays;
  }

  /** A self-playing daemon in a named situation. */
  static scene(name: string): FakeDaemon {
    const daemon = new FakeDaemon((SCENES[name] ?? home)(), true);
    if (name === "lost") {
      setTimeout(
        () => daemon.setShell({ state: "lost", message: "The daemon ended. Starting it again." }),
        1500,
      );
    }
    return daemon;
  }

  get plays(): boolean {
    return this.#plays;
  }

  newId(prefix: string): string {
    return `${prefix}${this.#nextId++}`;
  }

  call(method: string, params: Params): Promise<unknown> {
    this.calls.push({ method, params });
    const refusal = this.refuse.get(method);
    if (refusal) {
      this.refuse.delete(method);
      return Promise.reject(refusal);
    }
    const run = METHODS[method];
    if (!run)
      return Promise.reject({ code: "internal", message: `The fake daemon does not know ${method}.` });
    try {
      return Promise.resolve(structuredClone(run(this, params)));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  follow(stream: StreamName, params: Params, item: (item: unknown) => void): Promise<Stop> {
    const key = stream === "events" ? "events" : `${stream}:${String(params.id)}`;
    if (stream !== "events" && !this.#logs.has(key)) {
      return Promise.reject({ code: "not_found", message: "This stream is over." });
    }
    const log = this.#log(key);
    const after = params.after as number;
    if (stream !== "events" || after > 0) for (const old of log.items.slice(after)) item(old);
    log.readers.add(item);
    return Promise.resolve(() => log.readers.delete(item));
  }

  shellState(): ShellState {
    return this.world.shell;
  }

  onShellState(listener: (state: ShellState) => void): void {
    this.#listeners.push(listener);
  }

  restart(): Promise<void> {
    this.calls.push({ method: "daemon_restart", params: {} });
    this.setShell({ state: "attached", message: "" });
    return Promise.resolve();
  }

  /** Changes the shell's state; anything but "attached" also breaks the streams, as a lost daemon does. */
  setShell(state: Pick<ShellState, "state" | "message">): void {
    this.world.shell = shellState(state.state, state.message);
    if (state.state !== "attached") this.breakStreams();
    for (const listener of this.#listeners) listener(this.world.shell);
  }

  /** Forgets every reader: nothing more reaches them. */
  breakStreams(): void {
    for (const log of this.#logs.values()) log.readers.clear();
  }

  emit(event: Event): void {
    this.#push("events", { at: Date.now(), ...event });
  }

  openStream(kind: "answer" | "join" | "model_get", id: string): void {
    this.#logs.set(`${kind}:${id}`, newLog());
  }

  answer(id: string, event: AnswerEvent): void {
    this.#push(`answer:${id}`, event);
  }

  join(id: string, event: JoinEvent): void {
    this.#push(`join:${id}`, event);
  }

  get(id: string, event: ModelGetEvent): void {
    this.#push(`model_get:${id}`, event);
  }

  /** Whether the last event of a stream was its last one. */
  over(key: string): boolean {
    const last = this.#logs.get(key)?.items.at(-1) as { type?: string } | undefined;
    return ["done", "error", "paused"].includes(last?.type ?? "");
  }

  /** Readers of a stream now. */
  readers(key: string): number {
    return this.#logs.get(key)?.readers.size ?? 0;
  }

  status(): Status {
    const { world } = this;
    const active = world.networks.find((network) => network.active);
    return {
      version: "0.1.0",
      protocol: 1,
      device_id: world.devices[0]?.device_id ?? "",
      device_name: world.deviceName,
      os: "Linux",
      identity_store: "keychain",
      api: "http://127.0.0.1:1473/v1",
      listen: ["192.168.1.23:41230"],
      network: active?.name ?? null,
      network_id: active?.id ?? null,
      phase: world.phase,
      reason: world.reason,
      peers: world.devices.filter((device) => !device.this_device),
      engines: world.engines,
      knocks: world.knocks.length,
      warnings: world.warnings,
    };
  }

  /** Opens a join and, where the daemon plays, lets it come as far as the knock. */
  playJoin(network: string, device: string, how: { usedUp?: boolean; unreachable?: boolean } = {}): string {
    const id = this.newId("j");
    this.openStream("join", id);
    if (!this.#plays) return id;
    const invite = how.usedUp ? "The invite is used up, so somebody has to answer the knock." : null;
    this.join(id, { event: "finding", network });
    if (how.unreachable) {
      const message = "No device of home could be reached. Check that one of them is on, and try again.";
      setTimeout(() => this.join(id, { event: "failed", error: { code: "unreachable", message } }), 600);
      return id;
    }
    setTimeout(() => this.join(id, { event: "connected", device_name: device }), 600);
    setTimeout(() => {
      const expires_at = Date.now() + 300_000;
      this.join(id, { event: "knocking", code: "K7M2XQ", expires_at, invite });
    }, 1100);
    return id;
  }

  /** Plays an answer at a readable speed. */
  play(
    id: string,
    finish: (text: string, cancelled: boolean) => void,
    how: { waits?: number; thinks?: boolean } = {},
  ): void {
    if (this.world.holds) return this.answer(id, this.world.holds);
    const words = pieces(REPLY);
    const thoughts = how.thinks === false ? [] : pieces(THINKING);
    let text = "";
    let waits = how.waits ?? 0;
    const timer = setInterval(() => {
      if (waits-- > 0 && !this.#stopped.has(id)) return;
      const thought = thoughts.shift();
      const word = thought === undefined ? words.shift() : undefined;
      if (thought !== undefined) this.answer(id, { type: "thinking", text: thought });
      else if (word !== undefined && !this.#stopped.has(id)) {
        text += word;
        this.answer(id, { type: "delta", text: word });
      } else {
        clearInterval(timer);
        finish(text, this.#stopped.has(id));
      }
    }, 30);
  }

  #stopped = new Set<string>();

  stopAnswer(id: string): void {
    this.#stopped.add(id);
  }

  #log(key: string): Log {
    const log = this.#logs.get(key) ?? newLog();
    this.#logs.set(key, log);
    return log;
  }

  #push(key: string, event: object): void {
    const log = this.#log(key);
    const item = { seq: log.items.length + 1, ...event };
    log.items.push(item);
    for (const reader of log.readers) reader(item);
  }
}
