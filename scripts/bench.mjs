#!/usr/bin/env node
// `npm run bench`: every benchmark; `npm run bench -- inference` only that one. Figures that count are ratios and
// differences measured side by side in one run; docs/PERFORMANCE.md keeps the last ones.

import { Refusal, runMain, say } from './lib/log.mjs';
import { must } from './lib/run.mjs';
import { prepareFor } from './lib/setup.mjs';

/** The benchmarks: cargo's name of each, and what it measures. */
const BENCHES = { inference: 'what the mesh adds to a streamed answer' };

await runMain(async () => {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !(name in BENCHES));
  if (unknown.length > 0) {
    throw new Refusal(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(BENCHES).join(', ')}.`);
  }
  const { env } = await prepareFor(new Set(['engine']));
  for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
    say(`\n# ${name}: ${BENCHES[name]}\n`);
    await must(`The benchmark ${name}`, 'cargo', ['bench', '-p', 'myownmesh', '--bench', name], { show: true, env });
  }
});
