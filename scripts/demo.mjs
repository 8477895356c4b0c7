#!/usr/bin/env node
// `npm run demo`: the whole story with two devices on this machine. One founds a network, the other knocks, both see the
// same code, the first approves, and the second reads an answer that is computed on the first.

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bold, duration, green, quiet, runMain, say, Refusal } from './lib/log.mjs';
import { Device, until } from './lib/mesh.mjs';
import { prepareDaemon } from './lib/setup.mjs';

const QUESTION = 'What is MyOwnLLM?';

/** The code as people compare it: two groups of three. */
const groups = (code) => code.replace(/^(...)(...)$/, '$1 $2');

const who = (name) => bold(name.padEnd(6));

function tell(name, text) {
  say(`  ${who(name)}  ${text}`);
}

async function startDevices(desk, laptop) {
  say(`\n${bold('1. Two devices start')}, each with its own home and keys, on this machine only.`);
  // The laptop has no model of its own, so the answer can only come from the desk.
  const [first, second] = await Promise.all([desk.serve(), laptop.serve('--no-builtin-engine')]);
  tell('Desk', `device ${quiet(first.device_id.slice(0, 16))}, local API ${first.api}`);
  tell('Laptop', `device ${quiet(second.device_id.slice(0, 16))}, no model of its own`);
}

async function found(desk) {
  say(`\n${bold('2. The desk founds a network')} and makes an invite.`);
  const network = await desk.cli('network', 'create', 'home');
  tell('Desk', `network "${network.name}" ${quiet(network.id.slice(0, 16))}`);
  const { invite } = await desk.cli('invite');
  tell('Desk', quiet(`${invite.slice(0, 68)}...`));
  return invite;
}

async function knock(desk, laptop, invite) {
  say(`\n${bold('3. The laptop knocks.')} All it has is the invite; that finds the network and admits nobody.`);
  const joining = laptop.follow(['join', invite, '--wait', '120']);
  const shown = await Promise.race([
    until('the knock', () => joining.lines.find((line) => line.event === 'knocking') ?? null),
    joining.done.then(() => null),
  ]);
  const card = await until('the knock to reach the desk', async () => (await desk.cli('knocks'))[0] ?? null);
  say(`\n      ${bold(`${card.device_name} wants to join ${card.network}.`)} ${quiet(card.os)}\n`);
  say(`      on the desk     ${bold(groups(card.code))}`);
  say(`      on the laptop   ${bold(groups(shown.code))}\n`);
  if (card.code !== shown.code)
    throw new Refusal('The codes differ: somebody may be in the middle. Nothing was approved.');
  tell('Desk', 'the codes are the same, approved');
  await desk.cli('approve', card.id, '--code', shown.code);
  const lines = await joining.done;
  tell('Laptop', `joined "${lines.at(-1).network}"`);
}

async function ask(desk, laptop) {
  say(`\n${bold('4. The laptop asks, the desk computes.')}`);
  await until('a model of the desk on the laptop', async () => (await laptop.cli('models'))[0] ?? null);
  tell('Laptop', QUESTION);
  let open = false;
  const answering = laptop.follow(['chat', QUESTION, '--via', 'Desk', '--max-tokens', '200'], (line) => {
    if (line.type === 'route') process.stdout.write(`  ${who(line.device_name ?? 'Desk')}  `);
    if (line.type === 'delta') process.stdout.write(line.text.replaceAll('\n', '\n          '));
    open = line.type === 'route' || line.type === 'delta' || open;
  });
  const lines = await answering.done.finally(() => open && say());
  const done = lines.at(-1);
  if (done?.type !== 'done' || !done.text.trim()) throw new Refusal('The answer was empty.');
  if (done.device_id !== desk.ready.device_id) throw new Refusal('The answer did not come from the desk.');
  const rate = done.tokens_per_s ? `, ${Math.round(done.tokens_per_s)} tokens/s` : '';
  const first = done.first_token_ms === null ? 'unknown' : duration(done.first_token_ms);
  say(quiet(`          ${done.model} on Desk, first word after ${first}, ${done.tokens} tokens${rate}`));
}

async function end(desk, laptop) {
  say(`\n${bold('5. Both end')}, in order, and their homes are deleted.`);
  for (const device of [laptop, desk]) {
    const took = await device.stop();
    if (device.child.exitCode !== 0)
      throw new Refusal(`${device.name} did not end cleanly: ${device.log.slice(-5).join('\n')}`);
    tell(device.name, `ended after ${duration(took)}`);
  }
}

/** Plays the story; returns the exit code. */
export async function demo() {
  const { daemon, engine } = await prepareDaemon();
  const env = { MYOWNLLM_LLAMA_SERVER: engine };
  const desk = new Device('Desk', { program: daemon, env });
  const laptop = new Device('Laptop', { program: daemon, env });
  const started = performance.now();
  try {
    await startDevices(desk, laptop);
    await knock(desk, laptop, await found(desk));
    await ask(desk, laptop);
    await end(desk, laptop);
  } finally {
    await Promise.all([desk.remove(), laptop.remove()]);
  }
  say(
    `\n${green('Done')} in ${duration(performance.now() - started)}: one private pool of two devices, no account, no cloud.`,
  );
  return 0;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await runMain(demo);
