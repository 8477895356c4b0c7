/**
 * The host that talks to a real daemon's development bridge: JSON-RPC over a WebSocket on loopback. It keeps trying to
 * connect, and tells the same shell states as the app does.
 */
import type { Stop } from "./backend";
import type { ShellState } from "./bindings";
import { type Host, type Params, shellState, type StreamName } from "./host";
import { Rpc } from "./rpc";

const RETRY_MS = 500;

export class Bridge implements Host {
  #url: string;
  #rpc: Rpc | undefined;
  #state: ShellState = shellState("starting", "Looking for the daemon.");
  #listeners: ((state: ShellState) => void)[] = [];

  constructor(port: string, token: string) {
    this.#url = `ws://127.0.0.1:${port}/?token=${encodeURIComponent(token)}`;
    this.#connect();
  }

  call(method: string, params: Params): Promise<unknown> {
    if (this.#rpc) return this.#rpc.call(method, params);
    return Promise.reject({ code: "no_daemon", message: this.#state.message });
  }

  async follow(stream: StreamName, params: Params, item: (item: unknown) => void): Promise<Stop> {
    let after = (params.after as number) ?? 0;
    let stopped = false;
    let close: Stop = () => undefined;
    const open = async (): Promise<void> => {
      const rpc = this.#rpc;
      if (!rpc) throw { code: "no_daemon", message: this.#state.message };
      close = await rpc.subscribe(
        stream,
        { ...params, after },
        {
          item: (next) => {
            after = (next as { seq: number }).seq;
            item(next);
          },
          broken: () => {
            if (!stopped) open().catch(() => undefined); // a lost connection shows as the shell state "lost"
          },
        },
      );
      if (stopped) close();
    };
    await open();
    return () => {
      stopped = true;
      close();
    };
  }

  shellState(): ShellState {
    return this.#state;
  }

  onShellState(listener: (state: ShellState) => void): void {
    this.#listeners.push(listener);
  }

  async restart(): Promise<void> {
    throw {
      code: "not_allowed",
      message: "A browser cannot restart the daemon. Restart it with `myownmesh serve`.",
    };
  }

  #connect(): void {
    const socket = new WebSocket(this.#url);
    const rpc = new Rpc(socket, () => {
      if (this.#rpc === rpc) this.#rpc = undefined;
      this.#tell(shellState("lost", "The daemon does not answer. Trying again."));
      setTimeout(() => this.#connect(), RETRY_MS);
    });
    socket.addEventListener("open", () => {
      this.#rpc = rpc;
      this.#tell(shellState("attached"));
    });
  }

  #tell(state: ShellState): void {
    if (state.state === this.#state.state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
