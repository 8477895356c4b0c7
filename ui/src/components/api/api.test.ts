import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { SCENES } from "../../ipc/fake/scenes";
import { home } from "../../ipc/fake/world";
import type { App } from "../../state/app.svelte";
import { show, startedApp } from "../../test/fake";
import Api from "../settings/Api.svelte";
import { setups } from "./setups";

let daemon: FakeDaemon;
let app: App;

async function open(world = home()): Promise<void> {
  ({ daemon, app } = await startedApp(world));
  show(app, Api, {});
  await screen.findByText("For OpenAI’s clients");
}
beforeEach(() => vi.unstubAllGlobals());

const last = (method: string) => daemon.calls.findLast((call) => call.method === method)?.params;

test("both addresses show, and whether a key is needed", async () => {
  await open();
  expect(screen.getByText("http://127.0.0.1:1473/v1")).toBeTruthy();
  expect(screen.getByText("http://127.0.0.1:1473")).toBeTruthy();
  expect(screen.getByText("No key is needed")).toBeTruthy();
});

test("beyond loopback the page says so, and set-ups ask for a key", async () => {
  await open(SCENES.locked?.());
  expect(screen.getByText("A key is required")).toBeTruthy();
  expect(screen.getByText(/over plain HTTP/)).toBeTruthy();
  expect(document.querySelector("pre")?.textContent).toContain('api_key="YOUR-KEY"');
  expect(screen.getByText("No keys")).toBeTruthy();
});

test("every set-up names an address of this device, and only required keys are asked for", () => {
  const told = { openai_url: "http://h:1/v1", base_url: "http://h:1", beyond_loopback: false };
  for (const key_required of [false, true]) {
    for (const { text, name } of setups({ ...told, key_required })) {
      expect(text, name).toContain("http://h:1");
      if (!key_required) expect(text, name).not.toContain("YOUR-KEY");
    }
  }
});

test("a key is made for what is ticked, and its secret shows this once", async () => {
  await open();
  await fireEvent.click(screen.getByRole("button", { name: "New key" }));
  await fireEvent.input(await screen.findByLabelText("Name"), { target: { value: "Editor" } });
  await fireEvent.click(screen.getByRole("button", { name: "Make key" }));
  await screen.findByText(/There is a key “Editor” already/);
  await fireEvent.input(screen.getByLabelText("Name"), { target: { value: "Search" } });
  await fireEvent.click(screen.getByLabelText("Ask models"));
  await fireEvent.click(screen.getByRole("button", { name: "Make key" }));
  expect((await screen.findByTestId("secret")).textContent).toMatch(/^mol-/);
  expect(last("key_create")).toEqual({ name: "Search", scopes: ["embeddings", "models"] });
  await fireEvent.click(screen.getByRole("button", { name: "Done" }));
  await vi.waitFor(() => expect(screen.queryByTestId("secret")).toBeNull());
  expect(screen.getByText(/embeddings and list models · never used/)).toBeTruthy();
});

test("a key is revoked after asking", async () => {
  await open();
  await fireEvent.click(await screen.findByRole("button", { name: "Revoke Editor" }));
  await screen.findByText("Revoke the key Editor?");
  expect(last("key_revoke")).toBeUndefined();
  await fireEvent.click(screen.getByRole("button", { name: "Revoke" }));
  await vi.waitFor(() => expect(last("key_revoke")).toEqual({ name: "Editor" }));
  await vi.waitFor(() => expect(screen.queryByRole("button", { name: "Revoke Editor" })).toBeNull());
});

test("requests come in as they happen, with who asked for what and where it went", async () => {
  await open();
  const rows = await screen.findAllByTestId("request");
  expect(rows[0]?.textContent).toMatch(/key Editor.*Desk\/qwen3-8b → Desk.*running for/s);
  expect(rows[3]?.textContent).toMatch(/Ollama.*mixtral.*refused with 404/s);
  const [first] = daemon.world.api.requests;
  if (!first) throw new Error("the scene has requests");
  daemon.world.api.requests = [{ ...first, ms: 4_100, tokens: 12 }];
  daemon.emit({ event: "api_requests_changed" });
  await vi.waitFor(() => expect(screen.getAllByTestId("request")).toHaveLength(1));
  expect(within(screen.getByTestId("request")).getByText("4.1 s · 12 tokens")).toBeTruthy();
});
