#!/usr/bin/env node
// `npm run bench`: every benchmark; `npm run bench -- mesh` only that one, `npm run bench -- mesh --quick` a small version of
// it. Figures that count are ratios and differences measured side by side in one run; docs/PERFORMANCE.md keeps the last ones.

import { mkdirSync } from 'node:fs';
import { Refusal, runMain, say } from './lib/log.mjs';
import { at } from './lib/paths.mjs';
import { must } from './lib/run.mjs';
import { prepareFor } from './lib/setup.mjs';

/** The benchmarks: the crate that has it, what it needs, whether it takes `--quick` and writes JSON, what it measures. */
const BENCHES = {
  inference: { crate: 'myownmesh', needs: ['engine'], about: 'what the mesh adds to a streamed answer' },
  mesh: { crate: 'myownmesh', needs: [], json: true, about: 'coming in, going out, switching, records, idling' },
  sync: { crate: 'myownmesh', needs: [], json: true, about: 'documents: an edit on its way, catching up, disk' },
  planner: { crate: 'myownmesh', needs: ['engine'], about: 'what was predicted of answers, and what they took' },
  convergence: { crate: 'myownmesh-mesh', needs: [], about: 'records over 200 simulated devices, until all are equal' },
  links: {
    crate: 'myownmesh',
    needs: ['engine'],
    command: ['--test', 'links', '--', 'measure'],
    about: 'the first word from another device by the link between them, and by other ways over it (Linux, root)',
  },
};

/** A model whose weights say nothing and keep an engine as busy as those that people run. */
async function makeMedium() {
  const file = at('out', 'bench', 'medium.gguf');
  mkdirSync(at('out', 'bench'), { recursive: true });
  await must('Making a model to work on', 'python3', [at('sidecar', 'compute', 'fixtures', 'make_gguf.py'), file]);
}

await runMain(async () => {
  const words = process.argv.slice(2);
  const flags = words.filter((word) => word.startsWith('--'));
  const names = words.filter((word) => !word.startsWith('--'));
  const unknown = names.filter((name) => !(name in BENCHES));
  if (unknown.length > 0) {
    throw new Refusal(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(BENCHES).join(', ')}.`);
  }
  const ofInference = flags.filter((flag) => flag.startsWith('--model=') || flag === '--together');
  const quick = flags.filter((flag) => flag === '--quick');
  const odd = flags.filter((flag) => !ofInference.includes(flag) && !quick.includes(flag));
  if (odd.length > 0) {
    throw new Refusal(
      `${odd.join(', ')} is unknown. There is --quick, for mesh and sync, and --model=NAME and --together for inference.`,
    );
  }
  const wanted = names.length > 0 ? names : Object.keys(BENCHES);
  if (wanted.includes('inference') || wanted.includes('planner')) await makeMedium();
  const { env } = await prepareFor(new Set(wanted.flatMap((name) => BENCHES[name].needs)));
  for (const name of wanted) {
    const { crate, about, json, command: own } = BENCHES[name];
    say(`\n# ${name}: ${about}\n`);
    const options = json
      ? [...quick, '--json', at('out', 'bench', `${name}.json`)]
      : name === 'inference'
        ? ofInference
        : [];
    const command = own ?? ['--bench', name, '--', ...options];
    await must(`The benchmark ${name}`, 'cargo', ['bench', '-p', crate, ...command], { show: true, env });
  }
});
