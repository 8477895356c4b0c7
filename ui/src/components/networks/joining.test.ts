import { fireEvent, screen } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { SCENES } from "../../ipc/fake/scenes";
import { home, id } from "../../ipc/fake/world";
import { settle, show, startedApp } from "../../test/fake";
import Stages from "../doctor/Stages.svelte";
import InviteDialog from "./InviteDialog.svelte";
import JoinDialog from "./JoinDialog.svelte";
import Switcher from "./Switcher.svelte";

const called = (daemon: FakeDaemon, method: string) =>
  daemon.calls.filter((call) => call.method === method).map((call) => call.params);

test("an invite shows as a link and as a QR code that has it", async () => {
  const { daemon, app } = await startedApp();
  show(app, InviteDialog, { open: true });
  const link = await screen.findByTestId("invite");
  expect(link.textContent?.trim()).toMatch(/^myownllm:\/\/join\//);
  expect(screen.getByRole("img", { name: "The invite as a QR code" })).toBeTruthy();
  expect(called(daemon, "invite_create")[0]?.options).toMatchObject({ approved: false, uses: null });
});

test("an invite that lets in is made only when it is asked for, with what was chosen", async () => {
  const { daemon, app } = await startedApp();
  show(app, InviteDialog, { open: true });
  await screen.findByTestId("invite");
  await fireEvent.click(screen.getByRole("radio", { name: "Let in at once" }));
  await screen.findByText(/lets devices in without a question/);
  expect(called(daemon, "invite_create")).toHaveLength(1);
  await fireEvent.click(screen.getByRole("button", { name: "Make invite" }));
  await screen.findByText(/Whoever has this link gets in/);
  expect(called(daemon, "invite_create")[1]?.options).toEqual({
    approved: true,
    role: "member",
    uses: 1,
    expires_in_s: 86_400,
  });
});

test("who may not admit cannot approve beforehand", async () => {
  const world = home();
  world.networks = world.networks.map((one) => ({ ...one, role: "member" }));
  const { app } = await startedApp(world);
  show(app, InviteDialog, { open: true });
  await screen.findByTestId("invite");
  expect(screen.getByRole<HTMLButtonElement>("radio", { name: "Let in at once" }).disabled).toBe(true);
});

test("a device nearby is a click and a knock away", async () => {
  const { daemon, app } = await startedApp(SCENES.near?.());
  show(app, JoinDialog, { open: true });
  await fireEvent.click(await screen.findByRole("button", { name: "Knock at family" }));
  await vi.waitFor(() => expect(called(daemon, "nearby_join")).toEqual([{ device: id("4") }]));
  await screen.findByText("Joining family");
});

test("why a pre-approval did not admit stands over the code", async () => {
  const { daemon, app } = await startedApp();
  await app.joining.start("myownllm://join/abc");
  show(app, JoinDialog, { open: true });
  await settle();
  const [join] = [...daemon.calls.filter((call) => call.method === "join_start")].map(() => "j100");
  daemon.join(join ?? "", { event: "connected", device_name: "Desk" });
  daemon.join(join ?? "", {
    event: "knocking",
    code: "K7M2XQ",
    expires_at: Date.now() + 1000,
    invite: "The invite is used up.",
  });
  await screen.findByText("The invite is used up.");
  expect(screen.getByTestId("code").textContent?.trim()).toBe("K7M 2XQ");
});

test("a join that failed is examined by its invite", async () => {
  const { daemon, app } = await startedApp();
  await app.joining.start("myownllm://join/abc");
  show(app, JoinDialog, { open: true });
  await settle();
  daemon.join("j100", { event: "failed", error: { code: "unreachable", message: "Nobody answers." } });
  await fireEvent.click(await screen.findByRole("button", { name: "Find out why" }));
  await screen.findByText("Nothing answers at either of them.");
  expect(called(daemon, "doctor")).toContainEqual({ device: "myownllm://join/abc" });
});

test("a link that was opened fills in the form and waits for the person", async () => {
  const { daemon, app } = await startedApp();
  app.offer("myownllm://join/abc");
  show(app, JoinDialog, { open: true });
  expect((await screen.findByLabelText<HTMLInputElement>("Invite link")).value).toBe("myownllm://join/abc");
  expect(called(daemon, "join_start")).toEqual([]);
  await fireEvent.click(screen.getByRole("button", { name: "Knock" }));
  await vi.waitFor(() => expect(called(daemon, "join_start")).toEqual([{ invite: "myownllm://join/abc" }]));
});

test("a failed check has its cause, what to do, and a button that leads there", async () => {
  const { app } = await startedApp();
  show(app, Stages, { target: { kind: "here" } });
  await fireEvent.click(await screen.findByRole("button", { name: "Open engines" }));
  expect(app.place.view).toMatchObject({ name: "settings", section: "engines" });
  expect(screen.getByText("One check failed.")).toBeTruthy();
});

test("a relayed device leads to the relays of the network, and the engine of another is not ours to mend", async () => {
  const { app } = await startedApp();
  show(app, Stages, { target: { kind: "device", id: id("e") } });
  await fireEvent.click(await screen.findByRole("button", { name: "Open relays" }));
  expect(app.place.view).toMatchObject({ section: "networks", part: "relays" });
  expect(screen.queryByRole("button", { name: "Open engines" })).toBeNull();
});

test("the switcher shows a network that is over as such, and leads to its page", async () => {
  const { daemon, app } = await startedApp(SCENES.removed?.());
  show(app, Switcher, {});
  const button = screen.getByTestId("switcher");
  button.focus();
  await fireEvent.keyDown(button, { key: "Enter" });
  const item = await screen.findByRole("menuitem", { name: /grandma/ });
  expect(item.textContent).toContain("removed");
  await fireEvent.click(item);
  expect(called(daemon, "network_use")).toEqual([]);
  expect(app.place.view).toMatchObject({ section: "networks", item: id("3") });
});
