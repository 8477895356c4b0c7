import { expect, test } from "vitest";
import type { Seam } from "../ipc/bindings";
import { cutBytes, stretches } from "./seams";

const seam = (at: number): Seam => ({
  at,
  device_id: "a",
  device_name: "Lap",
  model: "m",
  reason: "Desk went away.",
});
const texts = (text: string, ...at: number[]): string[] =>
  stretches(text, at.map(seam)).map((one) => one.text);

test("a place in bytes is found among characters of any length", () => {
  expect(cutBytes("aé€🙂z", 1)).toBe("a");
  expect(cutBytes("aé€🙂z", 3)).toBe("aé");
  expect(cutBytes("aé€🙂z", 6)).toBe("aé€");
  expect(cutBytes("aé€🙂z", 9)).toBe("aé€");
  expect(cutBytes("aé€🙂z", 10)).toBe("aé€🙂");
  expect(cutBytes("a", 99)).toBe("a");
});

test("without a seam there is one stretch", () => {
  expect(stretches("All of it.", [])).toEqual([{ text: "All of it.", seam: undefined }]);
});

test("a word is not torn, and each stretch knows what came before it", () => {
  const found = stretches("The answer goes on.", [seam(6)]);
  expect(found.map((one) => one.text)).toEqual(["The answer", " goes on."]);
  expect(found.map((one) => one.seam?.reason)).toEqual([undefined, "Desk went away."]);
});

test("a list is cut after its item, a table after its last row", () => {
  expect(texts("1. one two\n2. three\n", 5)).toEqual(["1. one two\n", "2. three\n"]);
  expect(texts("| a |\n|---|\n| 1 |\n| 2 |\n\nEnd", 13)).toEqual(["| a |\n|---|\n| 1 |\n| 2 |\n", "\nEnd"]);
});

test("a code block goes on as a code block", () => {
  expect(texts("```sh\nls -l\npwd\n```\nDone", 8)).toEqual(["```sh\nls -l\n\n```", "```sh\npwd\n```\nDone"]);
});

test("nothing is lost with several seams, one at the start and one past the end", () => {
  const text = "One two three four.";
  expect(texts(text, 0, 5, 900).join("")).toBe(text);
  expect(texts(text, 0, 5, 900)).toHaveLength(4);
});
