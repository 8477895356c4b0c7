/** Numbers, sizes and times as people read them. */
import { n, t } from ".";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const fullDate = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A duration in seconds with one digit, for example `0.4 s`; below 10 ms in milliseconds. */
export function seconds(ms: number): string {
  return ms < 10
    ? t("unit.ms", { value: Math.max(1, Math.round(ms)) })
    : t("unit.s", { value: (ms / 1000).toFixed(ms < 100 ? 2 : 1) });
}

/** A time that is left, roughly: `40 s`, `12 min`, `2 h`. */
export function duration(inSeconds: number): string {
  if (inSeconds < 90) return t("unit.s", { value: Math.max(1, Math.round(inSeconds)) });
  if (inSeconds < 5400) return t("unit.min", { value: Math.round(inSeconds / 60) });
  return t("unit.h", { value: Math.round(inSeconds / 3600) });
}

/** A round-trip time in milliseconds. */
export function latency(ms: number): string {
  return ms < 1 ? t("unit.underMs") : t("unit.ms", { value: Math.round(ms) });
}

/** A size with decimal units, as file managers show it. */
export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, size)) / 3)));
  const value = size / 1000 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/** A size of what is limited to a power of two, in binary units: `1.9 MB` of `20 MB`. */
export function binary(size: number): string {
  const units = ["B", "KB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, size)) / 10)));
  const value = size / 1024 ** step;
  return `${Number.isInteger(value) || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/** Working memory, in the binary units that it is sold in: 32 GB. */
export const memory = (size: number): string => t("unit.gb", { value: Math.round(size / 2 ** 30) });

/** A flow in bytes per second, for example `14.6 kB/s`. */
export const rate = (bytesPerS: number): string => t("unit.perSecond", { value: bytes(bytesPerS) });

/** How long ago, for example `5 minutes ago`. */
export function ago(at: number, now: number): string {
  const past = Math.max(0, now - at);
  if (past < MINUTE) return t("time.now");
  if (past < HOUR) return n("time.minutes", Math.floor(past / MINUTE));
  if (past < DAY) return n("time.hours", Math.floor(past / HOUR));
  if (past < 30 * DAY) return n("time.days", Math.floor(past / DAY));
  return t("time.on", { date: shortDate.format(at) });
}

/** Time left as `4:09`. */
export function countdown(until: number, now: number): string {
  const left = Math.max(0, Math.ceil((until - now) / 1000));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** A calendar day: today, yesterday, or its weekday and date. `start` is its midnight. */
export function day(start: number, now: number): string {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (start >= midnight) return t("age.today");
  return new Date(midnight - 1).setHours(0, 0, 0, 0) === start ? t("age.yesterday") : longDay.format(start);
}

export const time = (at: number): string => clockTime.format(at);
export const date = (at: number): string => fullDate.format(at);

/** A code in two groups of three. */
export const grouped = (code: string): string => `${code.slice(0, 3)} ${code.slice(3)}`;

/** Names joined as in a sentence. */
export const list = (names: string[], type: "conjunction" | "disjunction" = "conjunction"): string =>
  new Intl.ListFormat("en-GB", { type }).format(names);
