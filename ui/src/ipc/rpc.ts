/** JSON-RPC 2.0 over one WebSocket: requests by name, and subscriptions that are opened again where they stopped. */
import type { ControlError } from "./bindings";
import type { Params } from "./host";

interface Reply {
  id?: number;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
  params?: { subscription: number | string; result?: unknown; error?: unknown };
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: ControlError) => void;
}

export interface Subscription {
  item: (item: unknown) => void;
  /** The daemon closed it before its last item, for example because this reader was too slow. */
  broken: () => void;
}

const LOST: ControlError = {
  code: "no_daemon",
  message: "The connection to the daemon was lost. It is being restored.",
};

/** The error a person reads for a JSON-RPC error object. */
export function readError(error: { code: number; message: string; data?: unknown }): ControlError {
  const data = error.data;
  if (typeof data === "object" && data !== null && "code" in data && "message" in data)
    return data as ControlError;
  if (error.code === -32601) {
    return {
      code: "version_mismatch",
      message:
        "The daemon does not know this request. App and daemon are of different versions: restart the daemon.",
    };
  }
  return { code: error.code === -32602 ? "invalid_argument" : "internal", message: error.message };
}

/** One connection. It is used until it closes; the bridge then makes another. */
export class Rpc {
  #socket: WebSocket;
  #nextId = 1;
  #pending = new Map<number, Pending>();
  #subscriptions = new Map<number | string, Subscription>();
  /** Notifications may overtake the reply that names their subscription. */
  #early = new Map<number | string, Reply["params"][]>();
  #opening = 0;

  constructor(socket: WebSocket, closed: () => void) {
    this.#socket = socket;
    socket.addEventListener("message", (event: MessageEvent<string>) => this.#receive(event.data));
    socket.addEventListener("close", () => {
      for (const { reject } of this.#pending.values()) reject(LOST);
      this.#pending.clear();
      this.#subscriptions.clear();
      closed();
    });
  }

  call(method: string, params: Params): Promise<unknown> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(LOST);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Opens a subscription and returns what closes it. */
  async subscribe(name: string, params: Params, subscription: Subscription): Promise<() => void> {
    this.#opening++;
    let id: number | string;
    try {
      id = (await this.call(`${name}_subscribe`, params)) as number | string;
    } finally {
      this.#opening--;
    }
    this.#subscriptions.set(id, subscription);
    for (const early of this.#early.get(id) ?? []) this.#deliver(early);
    if (this.#opening === 0) this.#early.clear();
    else this.#early.delete(id);
    return () => {
      if (!this.#subscriptions.delete(id)) return;
      // The daemon forgets it with the connection anyway: a refusal here changes nothing.
      this.call(`${name}_unsubscribe`, [id] as unknown as Params).catch(() => undefined);
    };
  }

  #receive(text: string): void {
    const reply = JSON.parse(text) as Reply;
    if (reply.id === undefined || reply.id === null) {
      this.#deliver(reply.params);
      return;
    }
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.error) pending?.reject(readError(reply.error));
    else pending?.resolve(reply.result);
  }

  #deliver(params: Reply["params"]): void {
    if (!params) return;
    const subscription = this.#subscriptions.get(params.subscription);
    if (!subscription) {
      if (this.#opening === 0) return;
      const waiting = this.#early.get(params.subscription) ?? [];
      this.#early.set(params.subscription, [...waiting, params]);
      return;
    }
    if ("error" in params) {
      this.#subscriptions.delete(params.subscription);
      subscription.broken();
    } else {
      subscription.item(params.result);
    }
  }
}
