import type { Failure } from "../ipc/backend";
import { type Backend, ok, toFailure } from "../ipc/backend";
import type { ChatRequest, ConversationSummary, Message, RoutePolicy, Seam } from "../ipc/bindings";
import { Answer, nextFrame } from "./answer.svelte";
import { cutBytes } from "./seams";
import type { UsedPrompt } from "./variables";

/** Where a question goes: see `Choice`. */
export interface Target {
  via: string;
  model: string | null;
  /** How a device is chosen where `via` is `auto`. */
  policy?: RoutePolicy;
}

/** The request for a question. */
export function questionOf(
  prompt: string,
  { via, model, policy }: Target,
  more: Partial<ChatRequest> = {},
): ChatRequest {
  return {
    prompt,
    via,
    model,
    system: null,
    max_tokens: null,
    temperature: null,
    conversation: null,
    replace_from: null,
    ...(via === "auto" && policy && Object.values(policy).some(Boolean) ? { policy } : {}),
    ...more,
  };
}

/** The open conversation: its messages, the answer being written, and the question that waits for a device. */
export class Chat {
  summary = $state.raw<ConversationSummary>();
  messages = $state.raw<Message[]>([]);
  answer = $state.raw<Answer>();
  loading = $state(false);
  /** Why the conversation could not be opened or the question not be sent. */
  error = $state.raw<Failure>();
  /** What is being written in the composer. */
  draft = $state("");
  /** The prompt that goes with the questions of this conversation. */
  prompt = $state.raw<UsedPrompt>();
  /** Question kept back until the chosen device is reachable. */
  held = $state.raw<string>();
  #backend: Backend;
  #frame: (draw: () => void) => void;
  #drafts = new Map<string, string>();
  #prompts = new Map<string, UsedPrompt>();
  /** Number of the newest open; an older one that answers late is ignored. */
  #turn = 0;
  #opened: (id: string) => void;

  /** `opened` runs when a new conversation got its id. */
  constructor(backend: Backend, opened: (id: string) => void = () => undefined, frame = nextFrame) {
    this.#backend = backend;
    this.#opened = opened;
    this.#frame = frame;
  }

  get id(): string | undefined {
    return this.summary?.id;
  }

  /** Whether an answer is under way. */
  get busy(): boolean {
    return this.answer?.running ?? false;
  }

  /** Shows a conversation; undefined starts a new one. */
  async open(id: string | undefined): Promise<void> {
    if (id === this.id && this.error === undefined) return;
    const turn = ++this.#turn;
    this.#leave();
    this.draft = this.#drafts.get(id ?? "") ?? "";
    this.prompt = this.#prompts.get(id ?? "");
    if (id === undefined) return;
    this.loading = true;
    try {
      await this.#load(id, turn);
    } catch (error) {
      if (turn === this.#turn) this.error = toFailure(error);
    } finally {
      if (turn === this.#turn) this.loading = false;
    }
  }

  /** Asks. The question shows at once; false when it could not be sent (it is then back in the composer). */
  async send(text: string, target: Target, replaceFrom: string | null = null): Promise<boolean> {
    const prompt = text.trim();
    if (prompt === "" || this.busy) return false;
    const turn = this.#turn;
    const before = this.messages;
    this.error = undefined;
    this.held = undefined;
    this.#showQuestion(prompt, replaceFrom);
    try {
      const conversation = this.id ?? (await this.#create());
      if (turn !== this.#turn) return false;
      const system = this.prompt?.system ?? null;
      const request = questionOf(prompt, target, { system, conversation, replace_from: replaceFrom });
      const id = await ok(this.#backend.commands.chatStart(request));
      if (turn === this.#turn) this.#listen(id);
      return true;
    } catch (error) {
      if (turn !== this.#turn) return false;
      this.messages = before;
      this.error = toFailure(error);
      if (replaceFrom === null) this.draft = text;
      return false;
    }
  }

  /** Answers the question before `message` again, on `target`. */
  regenerate(message: Message, target: Target): Promise<boolean> {
    const at = this.messages.findIndex((one) => one.id === message.id);
    const question = this.messages.slice(0, at).findLast((one) => one.author === "person");
    return question ? this.send(question.text, target, question.id) : Promise.resolve(false);
  }

  /** Goes on with the last answer, which ended early, on `target`: its text stays and grows. */
  async goOn(message: Message, target: Target): Promise<void> {
    const { id: conversation } = this;
    if (conversation === undefined || this.busy || this.messages.at(-1) !== message) return;
    const turn = this.#turn;
    this.error = undefined;
    try {
      const request = questionOf("", target, { conversation, continue_message: message.id });
      const id = await ok(this.#backend.commands.chatStart(request));
      if (turn !== this.#turn) return;
      this.messages = this.messages.slice(0, -1);
      this.#listen(id, message.text, message.answer?.seams);
    } catch (error) {
      if (turn === this.#turn) this.error = toFailure(error);
    }
  }

  /** Stops the answer where it runs; what was written stays. */
  async stop(): Promise<void> {
    try {
      await this.answer?.cancel();
    } catch (error) {
      this.error = toFailure(error);
    }
  }

  /** Goes on after a lost line: with the running answer, or with what the daemon kept. */
  resume(): void {
    if (this.answer?.running) this.answer.follow();
    else void this.reload();
  }

  /** Reads the open conversation again, unless an answer is being written. */
  async reload(): Promise<void> {
    const { id } = this;
    if (id === undefined || this.busy) return;
    try {
      await this.#load(id, this.#turn);
    } catch (error) {
      this.error = toFailure(error);
    }
  }

  /** Forgets everything shown: another network became active. */
  reset(): void {
    this.#turn++;
    this.#leave();
    this.#drafts.clear();
    this.#prompts.clear();
    this.draft = "";
    this.prompt = undefined;
  }

  #leave(): void {
    if (this.draft.trim() !== "") this.#drafts.set(this.id ?? "", this.draft);
    else this.#drafts.delete(this.id ?? "");
    if (this.prompt) this.#prompts.set(this.id ?? "", this.prompt);
    else this.#prompts.delete(this.id ?? "");
    this.answer?.detach();
    this.answer = undefined;
    this.summary = undefined;
    this.messages = [];
    this.error = undefined;
    this.held = undefined;
    this.loading = false;
  }

  async #load(id: string, turn: number): Promise<void> {
    const { summary, messages } = await ok(this.#backend.commands.conversationOpen(id));
    if (turn !== this.#turn) return;
    this.summary = summary;
    if (summary.answering === null) {
      this.messages = messages;
      this.answer = undefined;
      return;
    }
    // The stream tells the unfinished answer from its start, so what was kept of it would show twice.
    const last = messages.at(-1);
    this.messages = last?.author === "model" ? messages.slice(0, -1) : messages;
    if (this.answer?.id === summary.answering) return;
    const seam = last?.answer?.seams?.at(-1);
    this.#listen(summary.answering, last && seam ? cutBytes(last.text, seam.at) : "", last?.answer?.seams);
  }

  async #create(): Promise<string> {
    const summary = await ok(this.#backend.commands.conversationCreate());
    this.summary = summary;
    // What a new chat was begun with now belongs to the conversation; the next new chat starts empty.
    this.#drafts.delete("");
    this.#prompts.delete("");
    this.#opened(summary.id);
    return summary.id;
  }

  #showQuestion(prompt: string, replaceFrom: string | null): void {
    const cut = replaceFrom === null ? -1 : this.messages.findIndex((message) => message.id === replaceFrom);
    const kept = cut < 0 ? this.messages : this.messages.slice(0, cut);
    this.answer = undefined;
    this.messages = [
      ...kept,
      {
        id: `sending-${kept.length}`,
        author: "person",
        text: prompt,
        thinking: null,
        at: Date.now(),
        answer: null,
      },
    ];
  }

  #listen(id: string, before = "", seams: readonly Seam[] = []): void {
    this.answer?.detach();
    const answer = new Answer(
      this.#backend,
      id,
      () => void this.#settled(answer),
      this.#frame,
      before,
      seams,
    );
    this.answer = answer;
    answer.follow();
  }

  /** The answer is over: what the daemon kept takes its place, with the ids that editing needs. */
  async #settled(answer: Answer): Promise<void> {
    if (this.answer !== answer) return;
    await this.reload();
  }
}
