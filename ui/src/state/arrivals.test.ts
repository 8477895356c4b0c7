import { emit } from "@tauri-apps/api/event";
import { describe, expect, test, vi } from "vitest";
import { home, knock } from "../ipc/fake/world";
import { settle, startedApp } from "../test/fake";

const count = (daemon: { calls: { method: string }[] }, method: string): number =>
  daemon.calls.filter((call) => call.method === method).length;

test("a knock decided elsewhere is told, with who decided", async () => {
  const { daemon, app } = await startedApp();
  daemon.emit({
    event: "knock_ended",
    id: "k9",
    device_name: "Sam’s laptop",
    outcome: "approved",
    decided_by: "Desk",
  });
  expect(app.notices.list).toEqual([]); // it was never on this screen
  daemon.emit({ event: "knock", knock: knock({ id: "k1" }) });
  app.knocks.close();
  daemon.emit({
    event: "knock_ended",
    id: "k1",
    device_name: "Sam’s laptop",
    outcome: "approved",
    decided_by: "Desk",
  });
  expect(app.notices.list[0]?.text).toBe("Desk let Sam’s laptop in.");
});

test("a knock's notification brings its card back, and one that is over brings nothing", async () => {
  const { app } = await startedApp({ ...home(), knocks: [knock({ id: "k1" }), knock({ id: "k2" })] });
  await vi.waitFor(() => expect(app.knocks.count).toBe(2));
  app.knocks.close();
  app.knocks.close();
  expect(app.knocks.open).toBeUndefined();
  await emit("opened-knock", { id: "k2" });
  await vi.waitFor(() => expect(app.knocks.open?.id).toBe("k2"));
  app.knocks.close();
  await emit("opened-knock", { id: "gone" });
  await settle();
  expect(app.knocks.open).toBeUndefined();
});

describe("a link that is opened", () => {
  test("shows where to join, and knocks at nothing by itself", async () => {
    const { daemon, app } = await startedApp();
    app.offer("myownllm://join/abc");
    expect([app.place.dialog, app.joining.offered]).toEqual(["join", "myownllm://join/abc"]);
    expect(count(daemon, "join_start")).toBe(0);
  });

  test("does not disturb a knock that is under way", async () => {
    const { app } = await startedApp();
    await app.joining.start("myownllm://join/first");
    app.offer("myownllm://join/second");
    expect([app.joining.offered, app.joining.active]).toEqual([undefined, true]);
  });

  test.each(["?link=myownllm%3A%2F%2Fjoin%2Fabc", "?link=abc", "#/join/abc"])(
    "in the page's address (%s) is offered once",
    async (address) => {
      history.replaceState(null, "", `/${address}`);
      const { app } = await startedApp();
      await vi.waitFor(() => expect(app.joining.offered).toBe("myownllm://join/abc"));
      expect(location.href).not.toContain("abc");
    },
  );
});
