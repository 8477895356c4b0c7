import { expect, test } from "vitest";
import { diff } from "./diff";

const told = (from: string, to: string): string =>
  diff(from, to)
    .map((line) => ({ same: " ", gone: "-", new: "+" })[line.kind] + line.text)
    .join("|");

test("lines that are in both stay, and the others are gone or new", () => {
  expect(told("a\nb\nc\nd", "a\nx\nc\nd\ne")).toBe(" a|-b|+x| c| d|+e");
  expect(told("same", "same")).toBe(" same");
  expect(told("", "new")).toBe("-|+new");
  expect(told("a\na\na", "a\na")).toBe(" a| a|-a");
});

test("applied to the first text it gives the second", () => {
  const words = "the quick brown fox jumps over the lazy dog and the fox".split(" ");
  const other = "a quick fox jumps over the dog and then the lazy fox".split(" ");
  const lines = diff(words.join("\n"), other.join("\n"));
  expect(lines.filter((line) => line.kind !== "gone").map((line) => line.text)).toEqual(other);
  expect(lines.filter((line) => line.kind !== "new").map((line) => line.text)).toEqual(words);
});

test("two long texts with nothing in common are not compared line by line", () => {
  const many = (word: string): string => Array.from({ length: 8000 }, (_, at) => `${word}${at}`).join("\n");
  expect(diff(many("a"), many("b"))).toHaveLength(16_000);
});
