import { type Backend, ok, orNone } from "../ipc/backend";
import type {
  Lending as Told,
  LendingHours,
  LendingRules,
  MemberRules,
  Usage as Counted,
} from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** What limits lending, for everybody or for one member. */
export type Limits = Pick<LendingRules, "concurrent" | "tokens_per_day" | "models" | "hours">;

export const UNLIMITED: Limits = { concurrent: null, tokens_per_day: null, models: null, hours: null };

/** The ways to pause. */
export const PAUSES = {
  now: { seconds: null, atOnce: true },
  after: { seconds: null, atOnce: false },
  hour: { seconds: 3600, atOnce: false },
} as const;
export type Pause = keyof typeof PAUSES;

/** Minutes of a day as a time field has them, and back; `null` for what is not a time. */
export const clockOf = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
export function minutesOf(text: string): number | null {
  const [, hours = "", minutes = ""] = /^(\d{1,2}):(\d{2})$/.exec(text) ?? [];
  const all = Number(hours) * 60 + Number(minutes);
  return hours === "" || Number(hours) > 23 || Number(minutes) > 59 ? null : all;
}

/** The working hours that a person starts from. */
export const WORKDAY: LendingHours = { from: 8 * 60, to: 22 * 60 };

/** What this device lends and under which rules. */
export class Lending {
  /** Undefined while no network is active. */
  readonly told: Remote<Told | undefined>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.told = new Remote<Told | undefined>(undefined, () =>
      orNone<Told | undefined>(backend.commands.lendShow(), "no_network", undefined),
    );
  }

  get paused(): boolean {
    return (this.told.value?.pause ?? null) !== null;
  }

  /** The rules for one member; without a limit where there are none. */
  of(device_id: string, device_name: string): MemberRules {
    const known = this.told.value?.members.find((one) => one.device_id === device_id);
    return known ?? { device_id, device_name, ...UNLIMITED };
  }

  async set(change: Partial<LendingRules>): Promise<void> {
    const { value } = this.told;
    if (value) this.told.value = await ok(this.#backend.commands.lendSet({ ...value.rules, ...change }));
  }

  async setMember(rules: MemberRules): Promise<void> {
    this.told.value = await ok(this.#backend.commands.lendMember(rules));
  }

  async pause(how: Pause): Promise<void> {
    const { seconds, atOnce } = PAUSES[how];
    this.told.value = await ok(this.#backend.commands.lendPause(seconds, atOnce));
  }

  async resume(): Promise<void> {
    this.told.value = await ok(this.#backend.commands.lendResume());
  }
}

export const SPANS = [7, 30, 365] as const;
export type Span = (typeof SPANS)[number];
const DAY = 86_400_000;

/** What was lent and borrowed in the last days. Never a word of it. */
export class Usage {
  days = $state<Span>(30);
  readonly told: Remote<Counted | undefined>;
  /** Whether anybody has looked. */
  #looked = false;

  constructor(backend: Backend) {
    this.told = new Remote<Counted | undefined>(undefined, () =>
      orNone<Counted | undefined>(
        backend.commands.usage(Date.now() - this.days * DAY),
        "no_network",
        undefined,
      ),
    );
  }

  look(days: Span = this.days): void {
    this.#looked = true;
    this.days = days;
    void this.told.refresh();
  }

  /** Reads it again if anybody has looked. */
  changed(): void {
    if (this.#looked) void this.told.refresh();
  }
}
