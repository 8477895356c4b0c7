// Runs one program to its end, hands its lines on, and takes it along when this process is told to stop.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { EngineError } from './paths.mjs';

const TAIL = 40;
const children = new Set();
const cleanups = new Set();

/** Calls `fn` when SIGINT, SIGTERM or SIGHUP ends this process; returns a function that takes it back. */
export function onSignal(fn) {
  cleanups.add(fn);
  return () => cleanups.delete(fn);
}

let armed = false;
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

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{env?: object, onLine?: (line: string) => void, what: string, hint?: string}} options
 */
export function run(program, args, { env, onLine, what, hint }) {
  arm();
  return new Promise((resolve, reject) => {
    const tail = [];
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        tail.push(line);
        if (tail.length > TAIL) tail.shift();
        onLine?.(line);
      });
    }
    child.on('error', (error) => {
      children.delete(child);
      reject(new EngineError(`${what} could not start (${program}: ${error.message}).${hint ? ` ${hint}` : ''}`));
    });
    child.on('close', (code, signal) => {
      children.delete(child);
      if (code === 0) return resolve(tail);
      const end = signal ? `was stopped by ${signal}` : `ended with code ${code}`;
      const advice = hint ? `\n${hint}` : '';
      reject(new EngineError(`${what} ${end}. Its last lines:\n  ${tail.join('\n  ')}${advice}`));
    });
  });
}

/** Whether a program starts and ends well; its output is thrown away. */
export async function works(program, args) {
  try {
    await run(program, args, { what: program });
    return true;
  } catch {
    return false;
  }
}
