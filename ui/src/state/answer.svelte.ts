import { type Backend, Failure, ok, type Stop } from "../ipc/backend";
import type { AnswerDetails, AnswerItem, Seam, WaitState } from "../ipc/bindings";

/** Runs `draw` before the next picture; a hidden window has none, so a timer does it there. */
export function nextFrame(draw: () => void): void {
  if (typeof document !== "undefined" && !document.hidden) requestAnimationFrame(draw);
  else setTimeout(draw, 50);
}

/** The text so far. A stream may repeat what it goes on from, or begin right after it. */
function joined(before: string, text: string): string {
  if (before.startsWith(text)) return before;
  return text.startsWith(before) ? text : before + text;
}

export type AnswerPhase = "asking" | "waiting" | "thinking" | "writing" | "done" | "failed";

/** What an answer waits for before its next word. */
export interface Wait {
  state: WaitState;
  position: number | null;
  percent: number | null;
  /** When it may be over, where that is known. */
  until: number | null;
}

/**
 * One answer being written. It keeps the number of the last event it saw, so after a lost line it goes on where it
 * stopped: nothing twice, nothing missing. Text arrives in pieces of a token and is shown once per frame.
 */
export class Answer {
  phase = $state<AnswerPhase>("waiting");
  text = $state("");
  thinking = $state("");
  /** How it is being made; complete once it is done. */
  details = $state.raw<AnswerDetails>();
  error = $state.raw<Failure>();
  wait = $state.raw<Wait>();
  /** Where it changed hands. */
  seams = $state.raw<readonly Seam[]>([]);
  /** When the person asked, to say how long it takes. */
  readonly startedAt = Date.now();
  #backend: Backend;
  #seq = 0;
  #stop: Stop = () => undefined;
  #text = "";
  #thinking = "";
  #drawing = false;
  #frame: (draw: () => void) => void;
  #over: () => void;
  #before: string;

  /**
   * `over` runs once, when the last event came or the stream cannot be had any more. `before` is the text that it goes
   * on from, `seams` are those in it.
   */
  constructor(
    backend: Backend,
    readonly id: string,
    over: () => void,
    frame: (draw: () => void) => void = nextFrame,
    before = "",
    seams: readonly Seam[] = [],
  ) {
    this.#backend = backend;
    this.#over = over;
    this.#frame = frame;
    this.#before = before;
    this.seams = seams;
    if (before !== "") this.#show();
  }

  get running(): boolean {
    return this.phase !== "done" && this.phase !== "failed";
  }

  /** Subscribes after the last event seen; also after a lost line. */
  follow(): void {
    this.#stop();
    if (!this.running) return;
    this.#stop = this.#backend.followAnswer(this.id, this.#seq, {
      item: (item) => this.#apply(item),
      ended: ({ code, message }) => {
        if (code === "no_daemon") return; // resumed when the daemon is back
        this.#fail(new Failure(code, message));
      },
    });
  }

  /** Stops listening; the answer goes on where it runs. */
  detach(): void {
    this.#stop();
  }

  /** Cancels the work on the device that does it. */
  async cancel(): Promise<void> {
    await ok(this.#backend.commands.answerStop(this.id));
  }

  #apply(item: AnswerItem): void {
    if (item.seq <= this.#seq) return;
    this.#seq = item.seq;
    switch (item.type) {
      case "route":
        this.details = {
          device_id: item.device_id,
          device_name: item.device_name,
          model: item.model,
          demo: item.demo,
          tokens: null,
          first_token_ms: null,
          tokens_per_s: null,
          finish_reason: "",
          error: null,
          predicted_first_token_ms: item.predicted_first_token_ms,
          predicted_total_ms: item.predicted_total_ms,
        };
        break;
      case "waiting":
        this.wait = {
          state: item.state,
          position: item.position,
          percent: item.percent,
          until: item.wait_ms === null ? null : Date.now() + item.wait_ms,
        };
        break;
      case "seam":
        this.#seam(item);
        break;
      case "thinking":
        this.#thinking += item.text;
        this.wait = undefined;
        this.#draw();
        break;
      case "delta":
        this.#text += item.text;
        this.wait = undefined;
        this.#draw();
        break;
      case "done":
        this.#finish(item);
        break;
      case "error":
        this.#fail(new Failure(item.code, item.message));
        break;
    }
  }

  #finish(item: Extract<AnswerItem, { type: "done" }>): void {
    this.#text = item.text;
    this.#show();
    const { tokens, first_token_ms, tokens_per_s, total_ms, finish_reason, model, device_id } = item;
    const { predicted_first_token_ms, predicted_total_ms } = item;
    const route = this.details ?? { device_name: null, demo: false, error: null };
    this.details = {
      ...route,
      device_id,
      model,
      tokens,
      first_token_ms,
      tokens_per_s,
      total_ms,
      predicted_first_token_ms,
      predicted_total_ms,
      finish_reason,
      seams: [...this.seams],
    };
    this.wait = undefined;
    this.phase = "done";
    this.#stop();
    this.#over();
  }

  /** Another device goes on, or the same one once more. */
  #seam({ at, device_id, device_name, model, reason }: Seam): void {
    this.#show();
    const others = this.seams.filter((one) => one.at !== at);
    this.seams = [...others, { at, device_id, device_name, model, reason }];
    if (this.details) this.details = { ...this.details, device_id, device_name, model };
    this.wait = undefined;
  }

  #fail(error: Failure): void {
    this.#show();
    this.wait = undefined;
    this.error = error;
    this.phase = "failed";
    this.#stop();
    this.#over();
  }

  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    this.#frame(() => {
      this.#drawing = false;
      if (this.running) this.#show();
    });
  }

  #show(): void {
    this.text = joined(this.#before, this.#text);
    this.thinking = this.#thinking;
    if (this.text !== "") this.phase = "writing";
    else if (this.#thinking !== "") this.phase = "thinking";
  }
}
