/** The backend over the generated bindings. Inside the app the Tauri shell answers; elsewhere an installed host. */
import { Channel, isTauri } from "@tauri-apps/api/core";
import { type Backend, ok, type Sink, type Stop, toFailure } from "./backend";
import { commands, type ControlError, events, type ShellState } from "./bindings";

type Opened = Promise<{ status: "ok"; data: number } | { status: "error"; error: ControlError }>;

/** Opens a stream through a channel, and stops it also when the stop comes before the handle. */
function follow<T>(sink: Sink<T>, open: (channel: Channel<T>) => Opened): Stop {
  let stopped = false;
  let handle: number | undefined;
  const close = (): void => {
    if (handle !== undefined) void commands.streamStop(handle);
    handle = undefined;
  };
  const channel = new Channel<T>((item) => {
    if (!stopped) sink.item(item);
  });
  ok(open(channel)).then(
    (opened) => {
      handle = opened;
      if (stopped) close();
      else sink.opened?.();
    },
    (error: unknown) => {
      const { code, message } = toFailure(error);
      if (!stopped) sink.ended({ code, message });
    },
  );
  return () => {
    stopped = true;
    close();
  };
}

export const tauriBackend: Backend = {
  commands,
  followEvents: (after, sink) => follow(sink, (channel) => commands.eventsStream(after, channel)),
  followAnswer: (id, after, sink) => follow(sink, (channel) => commands.answerStream(id, after, channel)),
  followJoin: (id, after, sink) => follow(sink, (channel) => commands.joinStream(id, after, channel)),
  followGet: (id, after, sink) => follow(sink, (channel) => commands.modelGetStream(id, after, channel)),
  shellState: () => commands.shellState(),
  onShellState(listener) {
    const listening = events.shellState.listen((event: { payload: ShellState }) => listener(event.payload));
    return () => void listening.then((stop) => stop());
  },
  onOpenedLink(listener) {
    const listening = events.openedLink.listen((event) => listener(event.payload.url));
    // What came before is asked for only once this listens, so nothing falls between the two.
    void listening.then(() => commands.pendingLink()).then((url) => url !== null && listener(url));
    return () => void listening.then((stop) => stop());
  },
  onOpenedKnock(listener) {
    const listening = events.openedKnock.listen((event) => listener(event.payload.id));
    return () => void listening.then((stop) => stop());
  },
  restartDaemon: async (apiPort) => void (await ok(commands.daemonRestart(apiPort ?? null))),
  saveFile: (name, text) => ok(commands.saveFile(name, text)),
  picksFiles: isTauri(),
  pickModel: () => ok(commands.pickModel()),
  openLink: async (url) => void (await ok(commands.openLink(url))),
};
