import { beforeEach, expect, test } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { knock } from "../ipc/fake/world";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon } from "../test/fake";
import { Knocks } from "./knocks.svelte";

let daemon: FakeDaemon;
let knocks: Knocks;

beforeEach(async () => {
  daemon = fakeDaemon();
  daemon.world.knocks = [knock(), knock({ id: "k2", device_name: "Tablet" })];
  knocks = new Knocks(tauriBackend);
  await knocks.refresh();
});

test("cards come one after the other, and one put aside does not come back by itself", async () => {
  expect(knocks.open?.id).toBe("k1");
  knocks.close();
  expect(knocks.open?.id).toBe("k2");
  knocks.close();
  await knocks.refresh();
  expect(knocks.open).toBeUndefined();
  expect(knocks.count).toBe(2);
});

test("a card that was put aside opens by the id of its knock, while that waits", () => {
  knocks.close();
  knocks.close();
  knocks.showById("k1");
  expect(knocks.open?.id).toBe("k1");
  knocks.close();
  knocks.end("k2");
  knocks.showById("k2");
  expect(knocks.open).toBeUndefined();
});

test("approving sends the code that was compared", async () => {
  await knocks.approve(knock(), "member");
  expect(daemon.calls.at(-1)).toEqual({
    method: "knock_approve",
    params: { id: "k1", role: "member", code: "K7M2XQ" },
  });
  expect(knocks.waits("k1")).toBe(false);
});

test("each way to say no is told apart", async () => {
  await knocks.deny(knock(), "codes_differ");
  expect(daemon.calls.at(-1)?.params).toMatchObject({ id: "k1", kind: "codes_differ" });
  await knocks.deny(knock({ id: "k2" }), "unexpected");
  expect(daemon.calls.at(-1)?.params).toMatchObject({ id: "k2", kind: "unexpected" });
});

test("a refused approval keeps the knock", async () => {
  daemon.refuse.set("knock_approve", { code: "code_mismatch", message: "The codes differ." });
  await expect(knocks.approve(knock(), "member")).rejects.toThrow("The codes differ.");
  expect(knocks.waits("k1")).toBe(true);
});
