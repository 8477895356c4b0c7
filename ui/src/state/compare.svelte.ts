import { type Backend, ok } from "../ipc/backend";
import type { FanOutAnswer } from "../ipc/bindings";
import { Answer, nextFrame } from "./answer.svelte";
import { questionOf, type Target } from "./chat.svelte";
import { Task } from "./task.svelte";

/** One of the answers side by side. */
export interface Column {
  asked: FanOutAnswer;
  answer: Answer;
}

/** What one of several answers did best. */
export type Best = "first" | "total" | "rate";

const COUNTS = [2, 3, 4] as const;
export type Count = (typeof COUNTS)[number];
export { COUNTS };

/** The same question to several devices. Nothing of it is kept. */
export class Compare {
  draft = $state("");
  count = $state<Count>(2);
  /** What was asked last. */
  question = $state("");
  columns = $state.raw<Column[]>([]);
  readonly task = new Task();
  #backend: Backend;
  #frame: (draw: () => void) => void;

  constructor(backend: Backend, frame = nextFrame) {
    this.#backend = backend;
    this.#frame = frame;
  }

  /** Whether any answer is still being written. */
  get busy(): boolean {
    return this.task.busy || this.columns.some(({ answer }) => answer.running);
  }

  /** Asks; what was there before makes room. False when it could not be asked: the question is then still there. */
  async ask(target: Target): Promise<boolean> {
    const prompt = this.draft.trim();
    if (prompt === "" || this.busy) return false;
    return this.task.run(async () => {
      const request = questionOf(prompt, { ...target, via: "auto" });
      const asked = await ok(this.#backend.commands.chatFanOut(request, this.count));
      this.#detach();
      this.question = prompt;
      this.draft = "";
      this.columns = asked.map((one) => ({ asked: one, answer: this.#follow(one) }));
    });
  }

  /** Cancels every answer where it runs; what was written stays. */
  async stop(): Promise<void> {
    await Promise.all(
      this.columns
        .filter(({ answer }) => answer.running)
        .map(({ answer }) => answer.cancel().catch(() => undefined)),
    );
  }

  /** Goes on listening after a lost line. */
  resume(): void {
    for (const { answer } of this.columns) answer.follow();
  }

  /** Forgets everything shown: another network became active. */
  reset(): void {
    this.#detach();
    this.columns = [];
    this.question = "";
  }

  /**
   * What an answer did better than every other one. Told only once all are over, among those that came to their end,
   * and never of a tie: anything else would be a guess.
   */
  best(column: Column): Best[] {
    if (this.busy) return [];
    const whole = this.columns.filter(
      ({ answer }) => answer.phase === "done" && answer.details?.finish_reason !== "cancelled",
    );
    if (whole.length < 2 || !whole.includes(column)) return [];
    const leads = (value: (one: Column) => number | null | undefined): boolean => {
      const own = value(column);
      if (own === null || own === undefined) return false;
      return whole.every((one) => {
        const other = value(one);
        return one === column || (other !== null && other !== undefined && own < other);
      });
    };
    const rate = (one: Column): number | null => {
      const value = one.answer.details?.tokens_per_s ?? null;
      return value === null ? null : -value;
    };
    return [
      ...(leads((one) => one.answer.details?.first_token_ms) ? (["first"] as const) : []),
      ...(leads((one) => one.answer.details?.total_ms) ? (["total"] as const) : []),
      ...(leads(rate) ? (["rate"] as const) : []),
    ];
  }

  #follow({ id }: FanOutAnswer): Answer {
    const answer = new Answer(this.#backend, id, () => undefined, this.#frame);
    answer.follow();
    return answer;
  }

  #detach(): void {
    for (const { answer } of this.columns) answer.detach();
  }
}
