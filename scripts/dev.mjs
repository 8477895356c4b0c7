#!/usr/bin/env node
// `npm run dev`: the app with the interface from Vite's server, so that a saved file shows at once.

import { runMain, say, step } from './lib/log.mjs';
import { start } from './lib/run.mjs';
import { until } from './lib/mesh.mjs';
import { TO_BUILD, ensureDebian } from './lib/debian.mjs';
import { buildDaemon, ensureNpm, ensureTarget, ensureTools } from './lib/setup.mjs';
import { ensureEngine } from './engine.mjs';

const SERVER = 'http://127.0.0.1:1420';

await runMain(async () => {
  ensureTools();
  await ensureDebian(TO_BUILD);
  await ensureNpm();
  ensureTarget();
  await step('Looking for the engine', () => ensureEngine());
  const daemon = await buildDaemon();
  const vite = start('npm', ['run', 'dev', '-w', 'ui'], { stdio: 'inherit' });
  const answers = () =>
    fetch(SERVER).then(
      () => true,
      () => null,
    );
  await until(`Vite's server at ${SERVER}`, answers);
  say('The app compiles and opens; the interface reloads when a file is saved.');
  const app = start('cargo', ['run', '-p', 'myownllm', '--no-default-features'], {
    stdio: 'inherit',
    env: { MYOWNLLM_MESH_BIN: process.env.MYOWNLLM_MESH_BIN || daemon },
  });
  const code = await new Promise((resolve) => app.once('close', resolve));
  vite.kill();
  return code ?? 1;
});
