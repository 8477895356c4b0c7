/**
 * Stands in for the Tauri shell where there is none (a browser, a test): it answers the same commands, so the generated
 * bindings and everything above them run unchanged.
 */
import { emit } from "@tauri-apps/api/event";
import { mockIPC } from "@tauri-apps/api/mocks";
import type { Stop } from "./backend";
import type { ShellState } from "./bindings";

export type Params = Record<string, unknown>;
/** A shell state of a host that has no daemon of its own to start. */
export const shellState = (state: ShellState["state"], message = ""): ShellState => ({
  state,
  message,
  code: null,
  expected: "",
  found: null,
  log_path: null,
});

export type StreamName = "events" | "answer" | "join" | "model_get";

/** What answers the commands in place of the shell. Refusals are thrown as plain `ControlError` objects. */
export interface Host {
  call(method: string, params: Params): Promise<unknown>;
  /** Delivers every item after `params.after`. Rejects when the stream cannot be opened. */
  follow(stream: StreamName, params: Params, item: (item: unknown) => void): Promise<Stop>;
  shellState(): ShellState;
  onShellState(listener: (state: ShellState) => void): void;
  restart(): Promise<void>;
}

/** The invite that the page's address carries, as `?link=` or `#/join/`; taken out of it, so that it is offered once. */
export function linkInAddress(): string | null {
  const url = new URL(location.href);
  const link = url.searchParams.get("link") ?? /^#\/join\/(.+)$/.exec(url.hash)?.[1];
  if (!link) return null;
  url.searchParams.delete("link");
  if (url.hash.startsWith("#/join/")) url.hash = "";
  history.replaceState(history.state, "", url);
  const invite = decodeURIComponent(link);
  return invite.startsWith("myownllm://") ? invite : `myownllm://join/${invite}`;
}

/** A browser keeps files itself, and does not say where. */
function offer(name: string, text: string): string {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name.replaceAll(/[\\/:*?"<>|]/g, "-");
  link.click();
  URL.revokeObjectURL(url);
  return "";
}

/** Routes every command of the bindings to `host`. A later call replaces the earlier host. */
export function installHost(host: Host): void {
  const open = new Map<number, Stop>();
  let nextHandle = 1;

  async function stream(name: StreamName, params: Params): Promise<number> {
    const { channel, ...rest } = params;
    const sink = channel as { onmessage: (item: unknown) => void };
    const stop = await host.follow(name, rest, (item) => sink.onmessage(item));
    const handle = nextHandle++;
    open.set(handle, stop);
    return handle;
  }

  async function answer(command: string, params: Params): Promise<unknown> {
    switch (command) {
      case "events_stream":
        return stream("events", params);
      case "answer_stream":
        return stream("answer", params);
      case "join_stream":
        return stream("join", params);
      case "model_get_stream":
        return stream("model_get", params);
      case "stream_stop":
        open.get(params.handle as number)?.();
        open.delete(params.handle as number);
        return null;
      case "shell_state":
        return host.shellState();
      case "daemon_restart":
        await host.restart();
        return null;
      case "pending_link":
        return linkInAddress();
      case "save_file":
        return offer(params.name as string, params.text as string);
      case "open_link":
        window.open(params.url as string, "_blank", "noopener,noreferrer");
        return null;
      default:
        return host.call(command, params);
    }
  }

  mockIPC((command, payload) => answer(command, (payload ?? {}) as Params), { shouldMockEvents: true });
  host.onShellState((state) => void emit("shell-state", state));
}
