import { beforeEach, expect, test, vi } from "vitest";
import { readError, Rpc } from "./rpc";

/** A socket whose other end is the test. */
class Socket extends EventTarget {
  readyState: number = WebSocket.OPEN;
  sent: { id: number; method: string; params: unknown }[] = [];
  send(text: string): void {
    this.sent.push(JSON.parse(text) as (typeof this.sent)[number]);
  }
  receive(message: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }
}

let socket: Socket;
let rpc: Rpc;
const closed = vi.fn();

beforeEach(() => {
  socket = new Socket();
  rpc = new Rpc(socket as unknown as WebSocket, closed);
});

test("answers find their requests by id", async () => {
  const status = rpc.call("status", {});
  const list = rpc.call("network_list", {});
  socket.receive({ jsonrpc: "2.0", id: 2, result: ["home"] });
  socket.receive({
    jsonrpc: "2.0",
    id: 1,
    error: { code: -32000, message: "x", data: { code: "no_network", message: "None." } },
  });
  expect(await list).toEqual(["home"]);
  await expect(status).rejects.toEqual({ code: "no_network", message: "None." });
});

test("an item that overtakes the reply of its subscription is not lost", async () => {
  const items: unknown[] = [];
  const opening = rpc.subscribe(
    "answer",
    { id: "a", after: 0 },
    { item: (item) => items.push(item), broken: vi.fn() },
  );
  socket.receive({ jsonrpc: "2.0", method: "answer_item", params: { subscription: 7, result: { seq: 1 } } });
  socket.receive({ jsonrpc: "2.0", id: 1, result: 7 });
  const close = await opening;
  socket.receive({ jsonrpc: "2.0", method: "answer_item", params: { subscription: 7, result: { seq: 2 } } });
  expect(items).toEqual([{ seq: 1 }, { seq: 2 }]);
  close();
  expect(socket.sent.at(-1)).toMatchObject({ method: "answer_unsubscribe", params: [7] });
});

test("a subscription that the daemon closes is told as broken", async () => {
  const broken = vi.fn();
  const opening = rpc.subscribe("events", { after: 0 }, { item: vi.fn(), broken });
  socket.receive({ jsonrpc: "2.0", id: 1, result: "s" });
  await opening;
  socket.receive({ jsonrpc: "2.0", method: "events_item", params: { subscription: "s", error: "lagged" } });
  expect(broken).toHaveBeenCalledOnce();
});

test("a closed connection fails what waits, with a sentence", async () => {
  const waiting = rpc.call("status", {});
  socket.dispatchEvent(new Event("close"));
  await expect(waiting).rejects.toMatchObject({ code: "no_daemon" });
  expect(closed).toHaveBeenCalled();
});

test("errors of the transport keep a meaning", () => {
  expect(readError({ code: -32601, message: "Method not found" }).code).toBe("version_mismatch");
  expect(readError({ code: -32602, message: "missing field" })).toEqual({
    code: "invalid_argument",
    message: "missing field",
  });
  expect(readError({ code: -32700, message: "?" }).code).toBe("internal");
});
