// The official clients of the three APIs as processes of their own, against models of this device and through a peer.
// `chain` always says one sentence, `embed` makes vectors (sidecar/compute/fixtures); `tools` and `slow` are played by
// engine.mjs. What came of each check becomes the table in docs/API.md: `npm run conformance`.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Device, befriend, until } from '../lib/mesh.mjs';
import { at } from '../lib/paths.mjs';
import { must } from '../lib/run.mjs';
import { Engine } from './engine.mjs';
import { CLIENTS as PACKAGES, pythonWithClients } from './python.mjs';

const MODELS = ['chain', 'embed', 'tools', 'slow'];

const engine = new Engine();
const JAVASCRIPT = JSON.parse(readFileSync(at('node_modules', 'openai', 'package.json'), 'utf8'));
let desk;
let laptop;
let python;
/** What came of the checks, for the table. */
const table = [];

before(async () => {
  python = await pythonWithClients();
  desk = new Device('Desk');
  laptop = new Device('Laptop');
  mkdirSync(join(desk.home, 'models'), { recursive: true });
  for (const model of ['chain.gguf', 'embed.gguf']) {
    copyFileSync(at('sidecar', 'compute', 'fixtures', model), join(desk.home, 'models', model));
  }
  const url = await engine.listen();
  await Promise.all([desk.serve('--engine', url), laptop.serve('--no-builtin-engine')]);
  await befriend(desk, laptop);
  const arrived = async () => {
    const ids = (await laptop.cli('models')).map((model) => model.id);
    return MODELS.every((model) => ids.includes(model)) || null;
  };
  await until('the models of the desk on the laptop', arrived);
});

after(async () => {
  await Promise.all([desk?.remove(), laptop?.remove()]);
  engine.close();
  const file = process.env.MYOWNLLM_CONFORMANCE;
  if (file) writeFileSync(file, JSON.stringify(table, null, 2));
});

const CLIENTS = [
  { client: `openai ${PACKAGES.openai} (Python)`, script: 'openai_client.py' },
  { client: `openai ${JAVASCRIPT.version} (JavaScript)`, script: 'openai_client.mjs' },
  { client: `anthropic ${PACKAGES.anthropic} (Python)`, script: 'anthropic_client.py' },
  { client: `ollama ${PACKAGES.ollama} (Python)`, script: 'ollama_client.py' },
];

const PLACES = [
  { where: 'here', device: () => desk, prefix: '' },
  { where: 'through a named peer', device: () => laptop, prefix: 'Desk/' },
  { where: 'wherever the model is', device: () => laptop, prefix: '' },
];

for (const { client, script } of CLIENTS) {
  for (const { where, device, prefix } of PLACES) {
    test(`${client}, ${where}`, async () => {
      const program = script.endsWith('.py') ? python : process.execPath;
      const base = device().ready.api.replace(/\/v1$/, '');
      const models = MODELS.map((model) => prefix + model);
      const ended = engine.abandoned;
      const { stdout } = await must(`The client ${client}`, program, [at('scripts', 'e2e', script), base, ...models]);
      const results = JSON.parse(stdout);
      assert.ok(results.length > 8, 'checks were left out');
      // Whoever cancels is heard of where the answer is made, though three processes lie between.
      const heard = () => (engine.open === 0 && engine.abandoned > ended) || null;
      const silent = await until('the engine to hear of the end', heard).then(
        () => null,
        (error) => error.message,
      );
      const cancelled = results.find(({ check }) => check === 'cancelled');
      cancelled.problem ??= silent;
      table.push({ client, where, results: results.map(({ check, problem }) => ({ check, passed: !problem })) });
      const problems = results.filter(({ problem }) => problem);
      assert.deepEqual(problems, [], problems.map(({ check, problem }) => `${check}: ${problem}`).join('\n'));
    });
  }
}
