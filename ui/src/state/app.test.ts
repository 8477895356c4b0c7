import { expect, test, vi } from "vitest";
import { firstRun, home, knock } from "../ipc/fake/world";
import { settle, startedApp } from "../test/fake";

const count = (daemon: { calls: { method: string }[] }, method: string): number =>
  daemon.calls.filter((call) => call.method === method).length;

test("every kind of change is read again in its area", async () => {
  const { daemon, app } = await startedApp();
  const areas = {
    networks_changed: "network_list",
    devices_changed: "device_list",
    engines_changed: "engine_list",
    models_changed: "model_list",
    conversations_changed: "conversation_list",
    invites_changed: "invite_list",
  } as const;
  for (const [event, method] of Object.entries(areas)) {
    const before = count(daemon, method);
    daemon.emit({ event: event as keyof typeof areas });
    await vi.waitFor(() => expect(count(daemon, method)).toBeGreaterThan(before));
  }
  daemon.emit({ event: "phase", phase: "trouble", reason: "Nobody is there." });
  expect([app.session.phase, app.session.reason]).toEqual(["trouble", "Nobody is there."]);
});

test("missed events make everything be read again", async () => {
  const { daemon } = await startedApp();
  const before = count(daemon, "status");
  daemon.emit({ event: "missed" });
  await vi.waitFor(() => expect(count(daemon, "status")).toBeGreaterThan(before));
});

test("a lost daemon shows, and when it is back everything is read and followed again", async () => {
  const { daemon, app } = await startedApp();
  daemon.setShell({ state: "lost", message: "The daemon ended." });
  await settle();
  expect([app.session.attached, app.session.reason]).toEqual([false, "The daemon ended."]);
  daemon.world.deviceName = "Renamed meanwhile";
  daemon.setShell({ state: "attached", message: "" });
  await vi.waitFor(() => expect(app.session.status.value?.device_name).toBe("Renamed meanwhile"));
  expect(daemon.readers("events")).toBe(1);
  daemon.emit({ event: "phase", phase: "alone", reason: "Alone." });
  expect(app.session.phase).toBe("alone");
});

test("an answer under way goes on after the daemon's line was lost", async () => {
  const { daemon, app } = await startedApp();
  await app.chat.send("Hello", app.choice.target);
  await settle();
  const answer = app.chat.answer;
  daemon.answer(answer?.id ?? "", { type: "delta", text: "one " });
  daemon.setShell({ state: "lost", message: "Lost." });
  daemon.answer(answer?.id ?? "", { type: "delta", text: "two" });
  daemon.setShell({ state: "attached", message: "" });
  await vi.waitFor(() => expect(answer?.text).toBe("one two"));
});

test("the first-run steps show without a network, and never to who already has one", async () => {
  expect((await startedApp(firstRun())).app.welcoming).toBe(true);
  expect((await startedApp(home())).app.welcoming).toBe(false);
});

test("switching the network closes the conversation of the other", async () => {
  const { daemon, app } = await startedApp();
  app.place.chat("c1");
  await app.chat.open("c1");
  await app.networks.use(daemon.world.networks[1]?.id ?? "");
  await vi.waitFor(() => expect(app.chat.id).toBeUndefined());
  expect(app.place.view).toEqual({ name: "chat", conversation: undefined });
});

test("a knock opens its card; its end is told when it was not decided here", async () => {
  const { daemon, app } = await startedApp();
  daemon.world.knocks = [knock()];
  daemon.emit({ event: "knock", knock: knock() });
  expect(app.knocks.open?.code).toBe("K7M2XQ");
  daemon.emit({ event: "knock_ended", id: "k1", device_name: "Sam", outcome: "expired", decided_by: null });
  expect(app.knocks.count).toBe(0);
  expect(app.notices.list[0]?.text).toContain("Sam knocked");
});

test("a question kept back is sent when its device is there again", async () => {
  const { daemon, app } = await startedApp();
  const desk = daemon.world.devices[1];
  if (!desk) throw new Error("the scene has a desk");
  app.choice.choose(desk.device_id);
  desk.state = "away";
  await app.devices.list.refresh();
  expect(app.choice.away).toBe(true);
  app.chat.held = "Are you there?";
  desk.state = "online";
  daemon.emit({ event: "devices_changed" });
  await vi.waitFor(() => expect(count(daemon, "chat_start")).toBe(1));
  expect(app.chat.held).toBeUndefined();
});
