// What a person reads while the scripts work: steps with their time, and errors that are sentences.

import process from 'node:process';

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : String(text));

export const bold = paint('1');
export const quiet = paint('2');
export const green = paint('32');
export const red = paint('31');
export const blue = paint('34');

/** An expected failure: its message is a sentence with the next step and is printed without a stack. */
export class Refusal extends Error {}

export const say = (text = '') => console.log(text);

/** `950 ms`, `4.2 s`, `3 min 5 s` */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Runs one step, and says what it was and how long it took. `work` may return a note for the line. */
export async function step(title, work) {
  const started = performance.now();
  say(`${blue('>')} ${title}`);
  try {
    const note = await work();
    const details = [typeof note === 'string' ? note : null, duration(performance.now() - started)];
    say(`${green('+')} ${title} ${quiet(`(${details.filter(Boolean).join(', ')})`)}`);
    return note;
  } catch (error) {
    say(`${red('x')} ${title} ${quiet(`(${duration(performance.now() - started)})`)}`);
    throw error;
  }
}

/** Runs a script's `main` and turns its outcome into an exit code. */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    const expected = error instanceof Refusal || error?.constructor?.name === 'EngineError';
    console.error(`\n${red('Failed:')} ${expected ? error.message : (error?.stack ?? error)}`);
    process.exitCode = 1;
  }
}
