import { expect, test } from "vitest";
import { Failure } from "../ipc/backend";
import { Remote } from "./remote.svelte";

test("calls during a read are folded into one more read, and the newest answer wins", async () => {
  const answers: ((value: number) => void)[] = [];
  const remote = new Remote(0, () => new Promise<number>((resolve) => answers.push(resolve)));
  const first = remote.refresh();
  void remote.refresh();
  void remote.refresh();
  answers[0]?.(1);
  await Promise.resolve();
  await Promise.resolve();
  expect(answers).toHaveLength(2);
  answers[1]?.(2);
  await first;
  expect(remote.value).toBe(2);
});

test("a failed read keeps the last good value and says why; the next good one clears it", async () => {
  let fail = false;
  const remote = new Remote("", () =>
    fail ? Promise.reject(new Failure("timed_out", "Too slow.")) : Promise.resolve("good"),
  );
  await remote.refresh();
  fail = true;
  await remote.refresh();
  expect(remote.value).toBe("good");
  expect(remote.error?.message).toBe("Too slow.");
  fail = false;
  await remote.refresh();
  expect(remote.error).toBeUndefined();
});
