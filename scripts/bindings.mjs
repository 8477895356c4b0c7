#!/usr/bin/env node
// `npm run bindings`: writes ui/src/ipc/bindings.ts from the Rust contract.

import { runMain, step } from './lib/log.mjs';
import { must } from './lib/run.mjs';
import { TO_BUILD, ensureDebian } from './lib/debian.mjs';
import { ensureTarget, ensureTools } from './lib/setup.mjs';

await runMain(async () => {
  ensureTools();
  await ensureDebian(TO_BUILD);
  ensureTarget();
  await step('Writing ui/src/ipc/bindings.ts', async () => {
    const args = ['test', '-p', 'myownllm', '--lib', 'the_bindings_fit_the_code'];
    await must('Writing the bindings', 'cargo', args, { env: { MYOWNLLM_WRITE_BINDINGS: '1' } });
  });
});
