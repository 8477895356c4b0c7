// Runs one program to its end and hands its lines on.

import { createInterface } from 'node:readline';
import { start } from '../lib/run.mjs';
import { EngineError } from './paths.mjs';

const TAIL = 40;

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{env?: object, onLine?: (line: string) => void, what: string, hint?: string}} options
 */
export function run(program, args, { env, onLine, what, hint }) {
  return new Promise((resolve, reject) => {
    const tail = [];
    const child = start(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        tail.push(line);
        if (tail.length > TAIL) tail.shift();
        onLine?.(line);
      });
    }
    child.on('error', (error) => {
      reject(new EngineError(`${what} could not start (${program}: ${error.message}).${hint ? ` ${hint}` : ''}`));
    });
    child.on('close', (code, signal) => {
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
