import type { Component } from "svelte";
import { onTestFinished, vi } from "vitest";
import { render } from "@testing-library/svelte";
import { FakeDaemon } from "../ipc/fake/daemon";
import { home, type World } from "../ipc/fake/world";
import { installHost } from "../ipc/host";
import { tauriBackend } from "../ipc/tauri";
import { App } from "../state/app.svelte";
import Stage from "./Stage.svelte";

/** An invented daemon behind the real bindings. */
export function fakeDaemon(world: World = home()): FakeDaemon {
  const daemon = new FakeDaemon(world);
  installHost(daemon);
  return daemon;
}

/** The state of a window, started and read. */
export async function startedApp(world: World = home()): Promise<{ daemon: FakeDaemon; app: App }> {
  const daemon = fakeDaemon(world);
  const app = new App(tauriBackend);
  onTestFinished(app.start());
  await vi.waitFor(() => {
    if (!app.conversations.list.loaded || !app.devices.list.loaded || !app.compute.models.loaded)
      throw new Error("loading");
  });
  return { daemon, app };
}

/** Shows one component with the state of `app` around it. */
export function show<P extends Record<string, unknown>>(
  app: App,
  component: Component<P>,
  props: P,
): ReturnType<typeof render> {
  return render(Stage, { app, component: component as Component<Record<string, unknown>>, given: props });
}

/** Lets every promise and effect that is ready run. */
export const settle = (): Promise<void> => new Promise((done) => setTimeout(done));
