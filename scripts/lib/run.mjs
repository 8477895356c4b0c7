// Runs other programs: with their output shown or collected, and never left behind.

import { spawn } from 'node:child_process';
import { Refusal } from './log.mjs';
import { ROOT, WINDOWS } from './paths.mjs';

const children = new Set();
const cleanups = new Set();

/** Calls `fn` when SIGINT, SIGTERM or SIGHUP ends this process; returns a function that takes it back. */
export function onSignal(fn) {
  arm();
  cleanups.add(fn);
  return () => cleanups.delete(fn);
}

let armed = false;
/** Ctrl-C and a stop of this script reach every program it runs. One place for it: the first handler ends the process. */
function arm() {
  if (armed) return;
  armed = true;
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    process.once(signal, () => {
      for (const child of children) child.kill('SIGTERM');
      for (const fn of cleanups) fn();
      process.exit(code);
    });
  }
}

/** Starts a program and keeps track of it. Same options as Node's spawn; `env` adds to this process's. */
export function start(program, args, { env, ...options } = {}) {
  arm();
  // npm and friends are batch files on Windows, and those need a shell.
  const shell = WINDOWS && /^(npm|npx)$/.test(program);
  const child = spawn(program, args, { cwd: ROOT, shell, ...options, env: { ...process.env, ...env } });
  children.add(child);
  child.once('close', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child;
}

/**
 * Runs a program to its end.
 * @param {{show?: boolean, cwd?: string, env?: object, input?: string, timeout?: number}} options
 *   `show`: its output goes to the terminal as it comes; it is collected either way
 * @returns {Promise<{code: number, output: string, stdout: string}>} `output`: both streams as they came
 */
export function run(program, args, { show = false, input, timeout, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = start(program, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...options,
    });
    const all = [];
    const out = [];
    child.stdout.on('data', (chunk) => {
      all.push(chunk);
      out.push(chunk);
      if (show) process.stdout.write(chunk);
    });
    child.stderr.on('data', (chunk) => {
      all.push(chunk);
      if (show) process.stderr.write(chunk);
    });
    const timer = timeout && setTimeout(() => child.kill('SIGKILL'), timeout);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new Refusal(`${program} could not be started: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const text = (chunks) => Buffer.concat(chunks).toString();
      resolve({ code: code ?? (signal ? 128 : 1), output: text(all), stdout: text(out) });
    });
    if (input !== undefined) child.stdin.end(input);
  });
}

/** The ends of a long text: compilers say what is wrong at the end, package managers at the beginning. */
function ends(text, { first = 12, last = 30 } = {}) {
  const lines = text.trimEnd().split('\n');
  if (lines.length <= first + last) return lines.join('\n');
  return [...lines.slice(0, first), `... ${lines.length - first - last} lines ...`, ...lines.slice(-last)].join('\n');
}

/** Runs a program that must succeed; otherwise its output is the error. */
export async function must(what, program, args, options = {}) {
  const result = await run(program, args, options);
  if (result.code === 0) return result;
  const said = options.show ? '' : `\n${ends(result.output)}`;
  throw new Refusal(`${what} failed (${[program, ...args].join(' ')}, exit code ${result.code}).${said}`);
}
