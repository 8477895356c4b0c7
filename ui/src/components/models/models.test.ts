import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, expect, test, vi } from "vitest";
import type { FakeDaemon } from "../../ipc/fake/daemon";
import { home } from "../../ipc/fake/world";
import { SCENES } from "../../ipc/fake/scenes";
import type { App } from "../../state/app.svelte";
import type { ModelPage } from "../../state/place.svelte";
import { settle, show, startedApp } from "../../test/fake";
import ModelsView from "../views/ModelsView.svelte";

let daemon: FakeDaemon;
let app: App;

async function open(page: ModelPage, world = home()): Promise<void> {
  ({ daemon, app } = await startedApp(world));
  show(app, ModelsView, { page });
  await settle();
}
beforeEach(() => localStorage.clear());

const kept = (name: string): HTMLElement => {
  const row = screen.getAllByTestId("kept").find((one) => one.textContent?.includes(name));
  if (!row) throw new Error(`no row of ${name}`);
  return row;
};
const last = (method: string) => daemon.calls.findLast((call) => call.method === method)?.params;

async function menu(button: string, item: string): Promise<void> {
  const trigger = await screen.findByRole("button", { name: button });
  trigger.focus();
  await fireEvent.keyDown(trigger, { key: "Enter" });
  const found = await screen.findByRole("menuitem", { name: item });
  await fireEvent.pointerUp(found);
  await fireEvent.click(found);
  await settle();
}

test("the shelf says how each model is, what it takes, and which only take room", async () => {
  await open("here");
  expect(kept("Qwen3-8B").textContent).toMatch(/pinned.*Ready · 5.0 GB · used 1\d minutes ago/s);
  expect(kept("Qwen3-4B").textContent).toContain("Loading 40 %");
  expect(kept("gemma-3-27b").textContent).toContain("unused for 74 days");
  expect(kept("house-style").textContent).toContain("The file is no longer there.");
  expect(screen.getByLabelText("Room on the disk").textContent).toMatch(
    /24.1 GB used.*118 GB free.*16.5 GB/s,
  );
});

test("a model is loaded, unloaded and pinned", async () => {
  await open("here");
  await fireEvent.click(within(kept("gemma-3-27b")).getByRole("button", { name: "Load" }));
  await within(kept("gemma-3-27b")).findByRole("button", { name: "Unload" });
  expect(last("model_load")).toEqual({ model: "gemma-3-27b-it-Q4_K_M" });
  await menu("More for gemma-3-27b-it-Q4_K_M", "Pin");
  expect(last("model_pin")).toEqual({ model: "gemma-3-27b-it-Q4_K_M", on: true });
  expect(kept("gemma-3-27b").textContent).not.toContain("unused for");
});

test("deleting says what it frees first; the demo model has no way to be deleted", async () => {
  await open("here");
  await menu("More for gemma-3-27b-it-Q4_K_M", "Delete…");
  await screen.findByText(/which frees 16.5 GB/);
  expect(last("model_remove")).toBeUndefined();
  await fireEvent.click(screen.getByRole("button", { name: "Delete" }));
  await vi.waitFor(() => expect(last("model_remove")).toEqual({ model: "gemma-3-27b-it-Q4_K_M" }));
  await vi.waitFor(() => expect(screen.queryByText("gemma-3-27b-it-Q4_K_M")).toBeNull());
  const trigger = screen.getByRole("button", { name: "More for myownllm-demo" });
  trigger.focus();
  await fireEvent.keyDown(trigger, { key: "Enter" });
  await screen.findByRole("menuitem", { name: "Pin" });
  expect(screen.queryByRole("menuitem", { name: "Delete…" })).toBeNull();
});

test("a file is taken in by its path, and a refusal stays beside it", async () => {
  await open("here");
  await fireEvent.click(screen.getByRole("button", { name: "Use a file" }));
  const path = await screen.findByLabelText("Path of the file");
  await fireEvent.input(path, { target: { value: "/tmp/a.txt" } });
  await fireEvent.click(screen.getByRole("button", { name: "Use it" }));
  await screen.findByText(/is not a GGUF file/);
  await fireEvent.input(path, { target: { value: "/tmp/mine.gguf" } });
  await fireEvent.click(screen.getByRole("button", { name: "Use it" }));
  await vi.waitFor(() => expect(kept("mine").textContent).toContain("file elsewhere"));
});

test("the catalogue says how well each fits and why, and begins a download", async () => {
  await open("catalogue");
  const row = (await screen.findByText("Qwen3 14B")).closest<HTMLElement>("[data-testid=catalogue-model]");
  if (!row) throw new Error("the row is there");
  expect(within(row).getByRole("button", { name: /^Fits: It runs in the memory/ })).toBeTruthy();
  await fireEvent.click(within(row).getByRole("button", { name: "Get qwen3-14b-q4_k_m" }));
  await within(row).findByRole("button", { name: "Pause qwen3-14b-q4_k_m" });
  expect(last("model_get_start")).toEqual({ model: "qwen3-14b-q4_k_m", from: null });
  expect(screen.getByText("Not for this device")).toBeTruthy();
  const here = screen.getByText("Qwen3 8B").closest<HTMLElement>("[data-testid=catalogue-model]");
  expect(here?.textContent).toContain("Here");
});

test("a device that has the files is named, and can be the source", async () => {
  await open("catalogue", SCENES.unsound?.());
  await screen.findByText("on Desk");
  await menu("Where to get qwen3-14b-q4_k_m from", "From Desk");
  expect(last("model_get_start")).toEqual({ model: "qwen3-14b-q4_k_m", from: "d".repeat(64) });
});

test("a download shows how far it is and can be paused, gone on with, and taken off", async () => {
  await open("here");
  await app.library.start("qwen3-14b-q4_k_m", "hub");
  const row = await screen.findByTestId("get");
  daemon.get("g100", {
    type: "progress",
    variant: "qwen3-14b-q4_k_m",
    source: "hub",
    state: "downloading",
    bytes: 3_000_000_000,
    total: 9_000_000_000,
    rate: 50_000_000,
  });
  await within(row).findByText(/About 2 min left · 3.0 GB of 9.0 GB · 50.0 MB\/s · From the public hub/);
  expect(within(row).getByRole("progressbar").getAttribute("aria-valuenow")).toBe("33");
  await fireEvent.click(within(row).getByRole("button", { name: /^Pause/ }));
  await within(row).findByText(/^Paused/);
  await fireEvent.click(within(row).getByRole("button", { name: /^Take/ }));
  expect(screen.queryByTestId("get")).toBeNull();
});

test("a search that finds nothing says so, and a catalogue from an address is set", async () => {
  await open("catalogue");
  await fireEvent.input(screen.getByLabelText("Search models"), { target: { value: "zzz" } });
  await screen.findByText("No model of the catalogue fits these words");
  await fireEvent.click(screen.getByRole("button", { name: "Catalogue source" }));
  const url = await screen.findByLabelText("Address");
  await fireEvent.input(url, { target: { value: "ftp://x" } });
  await fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await screen.findByText(/starts with https/);
  await fireEvent.input(url, { target: { value: "https://models.example.org/list.json" } });
  await fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await vi.waitFor(() => expect(screen.queryByLabelText("Address")).toBeNull());
});

test("models of other devices stand under their device, with their state", async () => {
  await open("others");
  const desk = screen.getByRole("region", { name: "Desk" });
  expect(desk.textContent).toContain("Cannot load: The file is damaged.");
  await open("others", { ...home(), models: [] });
  await screen.findByText("No other device offers a model");
});
