import { beforeEach, expect, test } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { LocalApi } from "./local-api.svelte";

let daemon: FakeDaemon;
let api: LocalApi;

beforeEach(() => {
  daemon = fakeDaemon();
  api = new LocalApi(tauriBackend);
});

const last = (method: string) => daemon.calls.findLast((call) => call.method === method)?.params;

test("requests are followed only while somebody has looked", async () => {
  api.changed();
  await settle();
  expect(daemon.calls).toEqual([]);
  api.look();
  await settle();
  daemon.world.api.requests = daemon.world.api.requests.slice(1);
  api.changed();
  await settle();
  expect(api.requests.value).toHaveLength(daemon.world.api.requests.length);
});

test("a key for everything has no scopes of its own, a narrower one has", async () => {
  const key = await api.create(" Shell ", ["models", "chat", "embeddings"]);
  expect(last("key_create")).toEqual({ name: "Shell", scopes: null });
  expect(key.secret).toMatch(/^mol-/);
  await api.create("Search", ["embeddings"]);
  expect(last("key_create")).toEqual({ name: "Search", scopes: ["embeddings"] });
  expect(api.keys.value.map((one) => one.name)).toEqual(["Editor", "Notes search", "Shell", "Search"]);
});

test("a name that is taken is refused, a revoked key is gone", async () => {
  await expect(api.create("Editor", ["chat"])).rejects.toThrow("There is a key “Editor” already.");
  await api.revoke("Editor");
  expect(api.keys.value.map((one) => one.name)).toEqual(["Notes search"]);
});
