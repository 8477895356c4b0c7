/** What the invented laptop lends and under which rules, what it lent and borrowed, and who uses its local API. */
import type {
  ApiKey,
  ApiRequest,
  DeviceSummary,
  Lending,
  LendingRules,
  LocalApi,
  Usage,
  UsageRow,
  UsageTotal,
} from "../bindings";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const OPEN: LendingRules = {
  concurrent: null,
  tokens_per_day: null,
  models: null,
  hours: null,
  only_idle: false,
  only_mains: false,
  owner_first: true,
  owner_stops_guests: false,
};

type Named = Pick<DeviceSummary, "device_id" | "name">;
const of = ({ device_id, name }: Named) => ({ device_id, device_name: name });

export function lending([desk, attic, phone]: [Named, Named, Named], now: number): Lending {
  return {
    accepting: "limited",
    pause: null,
    closed: null,
    rules: { ...OPEN, concurrent: 2, hours: { from: 8 * 60, to: 22 * 60 }, only_mains: true },
    members: [{ ...of(phone), concurrent: 1, tokens_per_day: 20_000, models: null, hours: null }],
    running: [{ ...of(desk), model: "Qwen3-8B-Q4_K_M", since: now - 9_000 }],
    waiting: [{ ...of(attic), model: "Qwen3-8B-Q4_K_M", since: now - 4_000 }],
  };
}

const row = (
  direction: UsageRow["direction"],
  device: Named,
  model: string,
  [requests, tokens, seconds]: [number, number, number],
  agreed = true,
): UsageRow => ({ direction, ...of(device), model, requests, tokens, seconds, agreed });

export function total(rows: UsageRow[]): UsageTotal {
  const sum = (pick: (row: UsageRow) => number): number => rows.reduce((all, row) => all + pick(row), 0);
  return {
    requests: sum((one) => one.requests),
    tokens: sum((one) => one.tokens),
    seconds: sum((one) => one.seconds ?? 0),
  };
}

export function usageRows([desk, attic, phone]: [Named, Named, Named]): UsageRow[] {
  return [
    row("borrowed", desk, "qwen3-8b", [214, 61_902, 1_504]),
    row("lent", phone, "Qwen3-8B-Q4_K_M", [88, 24_310, 2_020], false),
    row("borrowed", attic, "qwen3-8b", [31, 9_800, 702]),
    row("lent", desk, "Qwen3-8B-Q4_K_M", [12, 4_120, 340]),
    row("borrowed", desk, "llama-3.3-70b", [3, 1_204, 96]),
  ];
}

/** Of a year there is ten times as much as of a month, of a week a fifth. */
export function usage(rows: UsageRow[], since: number, now: number): Usage {
  const days = (now - since) / DAY;
  const part = days <= 7.5 ? 0.2 : days <= 31 ? 1 : 10;
  const scaled = rows.map((one) => ({
    ...one,
    requests: Math.ceil(one.requests * part),
    tokens: Math.ceil(one.tokens * part),
    seconds: one.seconds === null ? null : Math.ceil(one.seconds * part),
  }));
  return {
    since,
    rows: scaled,
    lent: total(scaled.filter((one) => one.direction === "lent")),
    borrowed: total(scaled.filter((one) => one.direction === "borrowed")),
  };
}

export interface Api {
  local: LocalApi;
  keys: ApiKey[];
  requests: ApiRequest[];
}

const request = (id: number, at: number, more: Partial<ApiRequest>): ApiRequest => ({
  id,
  at,
  api: "open_ai",
  path: "/v1/chat/completions",
  key: null,
  model: "myownllm",
  device_name: "Desk",
  status: 200,
  ms: 2_140,
  tokens: 96,
  ...more,
});

export function api(now: number): Api {
  const base_url = "http://127.0.0.1:1473";
  return {
    local: { openai_url: `${base_url}/v1`, base_url, key_required: false, beyond_loopback: false },
    keys: [
      {
        name: "Editor",
        created_at: now - 40 * DAY,
        last_used_at: now - 2 * MINUTE,
        scopes: ["chat", "models"],
      },
      {
        name: "Notes search",
        created_at: now - 3 * DAY,
        last_used_at: null,
        scopes: ["embeddings"],
      },
    ],
    requests: [
      request(48, now - 6_000, { key: "Editor", ms: null, tokens: null, model: "Desk/qwen3-8b" }),
      request(47, now - 31_000, { key: "Editor" }),
      request(46, now - 2 * MINUTE, { api: "anthropic", path: "/v1/messages", ms: 5_020, tokens: 402 }),
      request(45, now - 9 * MINUTE, {
        api: "ollama",
        path: "/api/chat",
        model: "mixtral",
        device_name: null,
        status: 404,
        ms: 3,
        tokens: null,
      }),
      request(44, now - 2 * HOUR, {
        path: "/v1/embeddings",
        model: "nomic-embed-text",
        ms: 48,
        tokens: null,
      }),
    ],
  };
}
