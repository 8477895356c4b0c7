/** Chooses what stands behind the interface: the app's shell, a daemon's bridge, or (design work only) an invented daemon. */
import { isTauri } from "@tauri-apps/api/core";
import type { Backend } from "./backend";
import { tauriBackend } from "./tauri";

export type { Backend } from "./backend";

/** The backend for this page; `undefined` in a browser that was not told where its daemon is. */
export async function chooseBackend(query: URLSearchParams): Promise<Backend | undefined> {
  if (isTauri()) return tauriBackend;
  const port = query.get("bridge");
  if (port !== null) {
    const [{ installHost }, { Bridge }] = await Promise.all([import("./host"), import("./bridge")]);
    installHost(new Bridge(port, query.get("token") ?? ""));
    return tauriBackend;
  }
  if (import.meta.env.DEV || import.meta.env.MODE === "design") {
    const [{ installHost }, { FakeDaemon }] = await Promise.all([import("./host"), import("./fake/daemon")]);
    installHost(FakeDaemon.scene(query.get("fake") ?? "home"));
    return tauriBackend;
  }
  return undefined;
}
