import { type Backend, type Failure, ok, toFailure } from "../ipc/backend";
import type { ChatRequest, RoutePlan } from "../ipc/bindings";

/** So long nobody types before the daemon is asked where the question would run. */
const REST_MS = 250;

/** Where the question that is being written would run. The newest question wins; answers that come late are ignored. */
export class Plan {
  told = $state.raw<RoutePlan>();
  /** Why nothing can answer. */
  error = $state.raw<Failure>();
  #backend: Backend;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Asks once nobody has typed for a moment; undefined: there is no question, and so no plan. */
  ask(request: ChatRequest | undefined): void {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    if (request === undefined) {
      this.told = undefined;
      this.error = undefined;
      return;
    }
    this.#timer = setTimeout(() => void this.#read(request, turn), REST_MS);
  }

  async #read(request: ChatRequest, turn: number): Promise<void> {
    try {
      const told = await ok(this.#backend.commands.chatPlan(request));
      if (turn !== this.#turn) return;
      this.told = told;
      this.error = undefined;
    } catch (error) {
      if (turn !== this.#turn) return;
      const failure = toFailure(error);
      this.told = undefined;
      // A lost daemon is told elsewhere.
      this.error = failure.code === "no_daemon" ? undefined : failure;
    }
  }
}
