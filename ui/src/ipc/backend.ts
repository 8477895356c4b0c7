/**
 * The one door between the interface and everything behind it.
 *
 * `Backend` is what state classes receive. It always speaks through the generated bindings; what answers them is a
 * host: the Tauri shell, a daemon's development bridge (bridge.ts), or an in-memory daemon (fake/).
 */
import type {
  AnswerItem,
  commands,
  ControlError,
  EventItem,
  JoinItem,
  ModelGetItem,
  ShellState,
} from "./bindings";

export type Commands = typeof commands;

/** Ends a subscription. Calling it twice is harmless. */
export type Stop = () => void;

/** Receives the items of a stream, or `ended` once if it could not be opened; nothing after its own `Stop`. */
export interface Sink<T> {
  item: (item: T) => void;
  /** The daemon took the subscription: what happens from now on arrives. */
  opened?: () => void;
  ended: (error: ControlError) => void;
}

export interface Backend {
  /** The requests, typed by the control contract. */
  readonly commands: Commands;
  /** Everything that happens, after event number `after` (0: from now on). */
  followEvents(after: number, sink: Sink<EventItem>): Stop;
  /** The events of one answer, after number `after`. */
  followAnswer(id: string, after: number, sink: Sink<AnswerItem>): Stop;
  /** The steps of one join, after number `after`. */
  followJoin(id: string, after: number, sink: Sink<JoinItem>): Stop;
  /** The events of one download, after number `after`. */
  followGet(id: string, after: number, sink: Sink<ModelGetItem>): Stop;
  /** How the daemon is: found, started, lost. */
  shellState(): Promise<ShellState>;
  onShellState(listener: (state: ShellState) => void): Stop;
  /** Ends the daemon and starts the app's own; with `apiPort` 0 its local API takes a free port. */
  restartDaemon(apiPort?: number): Promise<void>;
  /** Invite links that the system hands to the app: the one it was started with, and each that comes later. */
  onOpenedLink(listener: (url: string) => void): Stop;
  /** The notification of a knock was clicked; `listener` gets the knock's id. */
  onOpenedKnock(listener: (id: string) => void): Stop;
  /** Opens a web address outside the app. */
  openLink(url: string): Promise<void>;
  /** Whether files of this device can be picked, with their path. */
  readonly picksFiles: boolean;
  /** Lets a person pick a model's file; its path, or `null` where they picked none. */
  pickModel(): Promise<string | null>;
  /** Keeps a text among the person's downloads; tells where, if that is known. */
  saveFile(name: string, text: string): Promise<string>;
}

/** A refusal or failure of the daemon, as an exception. The message is a sentence for the person. */
export class Failure extends Error {
  override readonly name = "Failure";
  constructor(
    readonly code: ControlError["code"],
    message: string,
  ) {
    super(message);
  }
}

type Result<T> = { status: "ok"; data: T } | { status: "error"; error: ControlError };

/** The data of a result, or its error thrown as a [`Failure`]. */
export async function ok<T>(result: Promise<Result<T>>): Promise<T> {
  let settled: Result<T>;
  try {
    settled = await result;
  } catch (error) {
    throw toFailure(error);
  }
  if (settled.status === "ok") return settled.data;
  throw toFailure(settled.error);
}

/** The data of a result; `instead` where it was refused with `code`, as for a list of what no network has. */
export async function orNone<T>(
  result: Promise<Result<T>>,
  code: ControlError["code"],
  instead: T,
): Promise<T> {
  try {
    return await ok(result);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code === code) return instead;
    throw failure;
  }
}

/** Makes a [`Failure`] of whatever was thrown, so that a person always reads a sentence. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (typeof error === "object" && error !== null && "code" in error && "message" in error) {
    const { code, message } = error as ControlError;
    return new Failure(code, message);
  }
  const text = error instanceof Error ? error.message : String(error);
  return new Failure("internal", text);
}
