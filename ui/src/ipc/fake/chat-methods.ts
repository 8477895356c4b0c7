/** The invented daemon's requests about asking: where a question would run, one answer, or several side by side. */
import type {
  AnswerDetails,
  ChatRequest,
  Conversation,
  FanOutAnswer,
  Model,
  PlannedRoute,
  RoutePlan,
} from "../bindings";
import type { FakeDaemon } from "./daemon";
import { found, type Method, refuse } from "./found";
import { details } from "./talks";

/** How each device of the household does: first word and whole answer in milliseconds, how many go first. */
const PACE: Record<string, { first: number; total: number; queue: number }> = {
  Laptop: { first: 2_900, total: 21_000, queue: 0 },
  Desk: { first: 620, total: 4_800, queue: 0 },
  "Attic server": { first: 1_900, total: 11_400, queue: 2 },
};

export const chat = (daemon: FakeDaemon, key: unknown): Conversation =>
  found(
    daemon.world.conversations.find((one) => one.summary.id === key),
    "conversation",
  );

const GPU = new Set(["Laptop", "Desk", "Attic server"]);
const NPU = new Set(["Laptop"]);

/** Why a model cannot answer the request; `null` when it can. */
function unfit(model: Model, request: ChatRequest): string | null {
  const { via, policy } = request;
  if (model.state === "failed") return model.reason ?? "It cannot be loaded.";
  if (request.model !== null && model.id !== request.model) return `It has no ${request.model}.`;
  if (/embed/.test(model.id)) return "It turns text into vectors and does not talk.";
  if (via === "local" && !model.this_device) return "You chose this device.";
  if (via && via !== "auto" && via !== "local" && model.device !== via) return "You chose another device.";
  if (policy?.require_gpu && !GPU.has(model.device_name)) return "It has no graphics processor.";
  if (policy?.require_npu && !NPU.has(model.device_name)) return "It has no neural processor.";
  if (policy?.family && !model.id.toLowerCase().startsWith(policy.family.toLowerCase()))
    return `Its name does not begin with ${policy.family}.`;
  return null;
}

function planned(model: Model, request: ChatRequest): PlannedRoute {
  const why = unfit(model, request);
  const pace = PACE[model.device_name] ?? { first: 2_000, total: 9_000, queue: 0 };
  const slow = model.id.includes("70b") ? 6 : 1;
  return {
    device_id: model.device,
    device_name: model.device_name,
    this_device: model.this_device,
    model: model.id,
    demo: model.demo,
    usable: why === null,
    first_token_ms: why === null ? pace.first * slow : null,
    total_ms: why === null ? pace.total * slow : null,
    memory_bytes: model.size_bytes,
    queue: pace.queue,
    loaded: model.state === "ready",
    reason: why ?? (model.state === "ready" ? "It is loaded." : "It has to load the model first."),
  };
}

/** Best first: what the person prefers, then the soonest; the demo model after all others. */
export function plan(daemon: FakeDaemon, request: ChatRequest): RoutePlan {
  const wanted = request.policy?.prefer;
  const rank = (route: PlannedRoute): number => {
    if (!route.usable) return 1e12;
    const preferred = wanted ? route.this_device === (wanted === "here") : true;
    return (route.demo ? 1e9 : 0) + (preferred ? 0 : 1e6) + (route.first_token_ms ?? 0);
  };
  const routes = daemon.world.models
    .map((model) => planned(model, request))
    .sort((a, b) => rank(a) - rank(b));
  const [chosen, ...alternatives] = routes;
  if (!chosen?.usable)
    refuse("no_model", "No reachable device can answer this. Get a model, or choose another way.");
  return {
    chosen: { ...chosen, reason: `${chosen.device_name} should answer soonest.` },
    alternatives: alternatives.map((one) =>
      one.usable && one.queue > 0 ? { ...one, reason: "Others wait there already." } : one,
    ),
  };
}

const text = (daemon: FakeDaemon, request: ChatRequest): string =>
  request.continue_message
    ? (chat(daemon, request.conversation).messages.find((one) => one.id === request.continue_message)?.text ??
      "")
    : "";

function start(daemon: FakeDaemon, request: ChatRequest): string {
  const { chosen } = plan(daemon, request);
  const answer = daemon.newId("a");
  daemon.openStream("answer", answer);
  const how = details({
    device_id: chosen.device_id,
    device_name: chosen.device_name,
    model: chosen.model,
    demo: chosen.demo,
    predicted_first_token_ms: chosen.first_token_ms,
    predicted_total_ms: chosen.total_ms,
  });
  const before = text(daemon, request);
  if (request.conversation !== null) keep(daemon, request, answer, how);
  route(daemon, answer, chosen);
  if (before !== "") daemon.answer(answer, { type: "delta", text: before });
  if (daemon.plays) {
    daemon.play(
      answer,
      (said, cancelled) => {
        const finish_reason = cancelled ? "cancelled" : "stop";
        finish(daemon, request.conversation, before + said, { ...how, finish_reason });
        tellDone(daemon, answer, before + said, chosen, finish_reason);
      },
      { waits: waits(chosen) },
    );
  }
  return answer;
}

function route(daemon: FakeDaemon, answer: string, chosen: PlannedRoute): void {
  daemon.answer(answer, {
    type: "route",
    device_id: chosen.device_id,
    device_name: chosen.device_name,
    model: chosen.model,
    demo: chosen.demo,
    this_device: chosen.this_device,
    predicted_first_token_ms: chosen.first_token_ms,
    predicted_total_ms: chosen.total_ms,
  });
}

function tellDone(
  daemon: FakeDaemon,
  answer: string,
  said: string,
  chosen: PlannedRoute,
  finish_reason: string,
): void {
  const total = chosen.total_ms ?? 4_000;
  daemon.answer(answer, {
    type: "done",
    text: said,
    model: chosen.model,
    device_id: chosen.device_id,
    tokens: 96,
    first_token_ms: Math.round((chosen.first_token_ms ?? 500) * 0.9),
    tokens_per_s: Math.round(960_000 / total) / 10,
    total_ms: Math.round(total * 1.1),
    predicted_first_token_ms: chosen.first_token_ms,
    predicted_total_ms: chosen.total_ms,
    finish_reason,
  });
}

/** How long the answers of a route keep a person waiting, in ticks. */
const waits = (chosen: PlannedRoute): number => Math.round((chosen.first_token_ms ?? 300) / 100);

function keep(daemon: FakeDaemon, request: ChatRequest, answer: string, how: AnswerDetails): void {
  const talk = chat(daemon, request.conversation);
  const at = Date.now();
  const last = talk.messages.at(-1);
  if (request.continue_message && last) {
    last.answer = { ...how, finish_reason: "answering", seams: last.answer?.seams };
    talk.summary.answering = answer;
    daemon.emit({ event: "conversations_changed" });
    return;
  }
  const cut = talk.messages.findIndex((message) => message.id === request.replace_from);
  if (cut >= 0) talk.messages = talk.messages.slice(0, cut);
  const said = { thinking: null, at, answer: null };
  talk.messages.push({ id: daemon.newId("m"), author: "person", text: request.prompt, ...said });
  const answering = { ...how, finish_reason: "answering" };
  talk.messages.push({ id: daemon.newId("m"), author: "model", text: "", ...said, answer: answering });
  if (talk.summary.title === "") talk.summary.title = request.prompt.slice(0, 48);
  Object.assign(talk.summary, { updated_at: at, answering: answer, messages: talk.messages.length });
  daemon.emit({ event: "conversations_changed" });
}

function finish(daemon: FakeDaemon, key: string | null, said: string, how: AnswerDetails): void {
  if (key === null) return;
  const talk = chat(daemon, key);
  const last = talk.messages.at(-1);
  if (last) Object.assign(last, { text: said, answer: how });
  talk.summary.answering = null;
  daemon.emit({ event: "conversations_changed" });
}

function fanOut(daemon: FakeDaemon, request: ChatRequest, count: number): FanOutAnswer[] {
  const { chosen, alternatives } = plan(daemon, request);
  const able = [chosen, ...alternatives].filter((one) => one.usable);
  const each = able.filter((one, at) => able.findIndex((two) => two.device_id === one.device_id) === at);
  return each.slice(0, count).map((one) => {
    const id = daemon.newId("a");
    daemon.openStream("answer", id);
    route(daemon, id, one);
    if (daemon.plays) {
      daemon.play(
        id,
        (said, cancelled) => tellDone(daemon, id, said, one, cancelled ? "cancelled" : "stop"),
        {
          waits: waits(one),
          thinks: false,
        },
      );
    }
    const { device_id, device_name, this_device, model } = one;
    return { id, device_id, device_name, this_device, model };
  });
}

export const CHAT_METHODS: Record<string, Method> = {
  chat_plan: (daemon, { request }) => plan(daemon, request as ChatRequest),
  chat_start: (daemon, { request }) => start(daemon, request as ChatRequest),
  chat_fan_out: (daemon, { request, count }) => fanOut(daemon, request as ChatRequest, count as number),
  answer_stop: (daemon, { id: key }) => (daemon.stopAnswer(key as string), null),
};
