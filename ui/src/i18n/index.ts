/** All words of the interface come from one catalogue. `t` for a sentence, `n` for one that counts. */
import en from "./en.json";

export type Key = keyof typeof en;
type Counted = Key extends infer K ? (K extends `${infer Base}.other` ? Base : never) : never;
type Values = Record<string, string | number>;

const plural = new Intl.PluralRules("en");

function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The words of `key`, with `{name}` replaced by `values.name`. */
export function t(key: Key, values: Values = {}): string {
  return fill(en[key], values);
}

/** The words of `key` for `count` things; `{count}` is the number. */
export function n(key: Counted, count: number, values: Values = {}): string {
  const one = `${key}.one` as Key;
  const form = plural.select(count) === "one" && one in en ? one : (`${key}.other` as Key);
  return fill(en[form], { count, ...values });
}
