import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../ipc/fake/daemon";
import { tauriBackend } from "../ipc/tauri";
import { fakeDaemon, settle } from "../test/fake";
import { Joining } from "./joining.svelte";

let daemon: FakeDaemon;
let joining: Joining;
let joined: ReturnType<typeof vi.fn<() => void>>;
const JOIN = "j100";

beforeEach(async () => {
  daemon = fakeDaemon();
  joined = vi.fn();
  joining = new Joining(tauriBackend, joined);
  await joining.start(" myownllm://join/abc ");
  await settle();
});

test("the steps follow the daemon to membership", () => {
  daemon.join(JOIN, { event: "finding", network: "home" });
  expect([joining.step, joining.network]).toEqual(["finding", "home"]);
  daemon.join(JOIN, { event: "connected", device_name: "Desk" });
  expect([joining.step, joining.device]).toEqual(["connected", "Desk"]);
  daemon.join(JOIN, { event: "knocking", code: "K7M2XQ", expires_at: 9, invite: null });
  expect([joining.step, joining.code, joining.active]).toEqual(["knocking", "K7M2XQ", true]);
  daemon.join(JOIN, { event: "joined", network: "home", network_id: "1" });
  expect([joining.step, joining.active]).toEqual(["joined", false]);
  expect(joined).toHaveBeenCalledOnce();
});

test("a denial keeps the reason of the other side", () => {
  daemon.join(JOIN, { event: "failed", error: { code: "denied", message: "Desk said no: not now." } });
  expect([joining.active, joining.error?.message]).toEqual([false, "Desk said no: not now."]);
});

test("a lost line is resumed after the last step", async () => {
  daemon.join(JOIN, { event: "finding", network: "home" });
  daemon.breakStreams();
  daemon.join(JOIN, { event: "knocking", code: "K7M2XQ", expires_at: 9, invite: null });
  expect(joining.code).toBe("");
  joining.resume();
  await settle();
  expect(joining.code).toBe("K7M2XQ");
});

test("withdrawing tells the daemon and forgets the join", async () => {
  await joining.cancel();
  expect(daemon.calls.at(-1)).toEqual({ method: "join_stop", params: { id: JOIN } });
  expect(joining.step).toBeUndefined();
});

test("what is no invite is refused with a sentence", async () => {
  await expect(joining.start("https://example.org")).rejects.toThrow("This is not an invite.");
  expect(joining.step).toBeUndefined();
});
