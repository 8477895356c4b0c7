import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { n, t } from ".";
import en from "./en.json";
import { ago, binary, bytes, countdown, grouped, latency, seconds } from "./format";

test("words are filled in and counted", () => {
  expect(t("knock.title", { device: "Sam", network: "home" })).toBe("Sam wants to join home");
  expect(n("device.models", 1)).toBe("1 model");
  expect(n("device.models", 0)).toBe("0 models");
});

test("a value that is missing shows its name, and a value is never filled in again", () => {
  expect(t("chat.more")).toBe("More for {title}");
  expect(t("knock.title", { device: "{network}", network: "home" })).toBe("{network} wants to join home");
});

test("numbers read as people say them", () => {
  expect([seconds(4), seconds(42), seconds(412), seconds(12_345)]).toEqual([
    "4 ms",
    "0.04 s",
    "0.4 s",
    "12.3 s",
  ]);
  expect([latency(0.3), latency(4.2)]).toEqual(["< 1 ms", "4 ms"]);
  expect([bytes(0), bytes(999), bytes(2_100_000), bytes(42_900_000_000)]).toEqual([
    "0 B",
    "999 B",
    "2.1 MB",
    "42.9 GB",
  ]);
  expect([binary(0), binary(1023), binary(65_536), binary(1_605), binary(20_971_520)]).toEqual([
    "0 B",
    "1023 B",
    "64 KB",
    "1.6 KB",
    "20 MB",
  ]);
  expect([ago(0, 5_000), ago(0, 60_000), ago(0, 7_200_000)]).toEqual([
    "just now",
    "a minute ago",
    "2 hours ago",
  ]);
  expect([countdown(300_000, 0), countdown(0, 5)]).toEqual(["5:00", "0:00"]);
  expect(grouped("K7M2XQ")).toBe("K7M 2XQ");
});

test("every sentence of the catalogue is used", () => {
  const folder = join(import.meta.dirname, "..");
  const code = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(svelte|ts)$/.test(file) && !file.includes("test"))
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n");
  const built = [...code.matchAll(/[tn]\(`([^`$]*)\$\{[^}]*\}([^`]*)`/g)].map(
    ([, head = "", tail = ""]) => [head, tail] as const,
  );
  const used = (key: string): boolean => {
    const base = key.replace(/\.(one|other)$/, "");
    return (
      code.includes(`"${base}"`) || built.some(([head, tail]) => key.startsWith(head) && key.endsWith(tail))
    );
  };
  expect(Object.keys(en).filter((key) => !used(key))).toEqual([]);
});
