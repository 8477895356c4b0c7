// One part of a suite: a program that is run, and how its passes and failures are counted.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../lib/run.mjs';

/** Passes or fails as a whole. */
const whole = ({ code }) => ({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 });

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);

/** What a test runner printed. A run that failed without a counted failure (it did not compile, say) is one failure. */
function counted(result, passed, failed) {
  const failures = sum(result.output, failed);
  return { passed: sum(result.output, passed), failed: result.code !== 0 && failures === 0 ? 1 : failures };
}

// eslint-disable-next-line no-control-regex
const plain = (text) => text.replace(/\u001b\[[0-9;]*m/g, '');

/** How each kind of runner is counted: from its exit code and what it printed. */
export const COUNT = {
  whole,
  nextest: (r) => counted(r, /tests? run: (\d+) passed/g, /(?<=tests? run: .*?)(\d+) (?:failed|timed out)/g),
  cargo: (r) => counted(r, /^test result: .*? (\d+) passed/gm, /^test result: .*? (\d+) failed/gm),
  node: (r) => counted(r, /^(?:#|ℹ) pass (\d+)/gm, /^(?:#|ℹ) (?:fail|cancelled) (\d+)/gm),
};

/**
 * Runs one part.
 * @param {string} title
 * @param {string[]} command
 * @param {{count?: keyof typeof COUNT, env?: object, cwd?: string}} options
 */
export async function part(title, command, { count = 'whole', ...options } = {}) {
  const started = performance.now();
  const [program, ...args] = command;
  const result = await run(program, args, {
    ...options,
    env: { NO_COLOR: '1', CARGO_TERM_COLOR: 'never', ...options.env },
  });
  result.output = plain(result.output);
  return { title, output: result.output, ms: performance.now() - started, ...COUNT[count](result) };
}

/** Vitest tells its counts in a file. */
export async function vitest(title, args, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'myownllm-vitest-'));
  const file = join(folder, 'result.json');
  try {
    const command = [
      'npx',
      'vitest',
      'run',
      ...args,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ];
    const done = await part(title, command, options);
    const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(file, 'utf8'));
    // A file that could not even be loaded is a failure without a failed test.
    return { ...done, passed, failed: Math.max(failed, done.failed) };
  } catch (error) {
    return { title, output: String(error.stack), ms: 0, passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A check written in JavaScript: a list of problems, in sentences. */
export async function check(title, problemsOf) {
  const started = performance.now();
  let problems;
  try {
    problems = await problemsOf();
  } catch (error) {
    problems = [error.message];
  }
  const failed = problems.length > 0 ? 1 : 0;
  return { title, output: problems.join('\n'), ms: performance.now() - started, passed: 1 - failed, failed };
}
