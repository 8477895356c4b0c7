#!/usr/bin/env node
// `npm run build`: everything, in order. `npm run build -- --release` also makes the installable package (.deb on Linux).

import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runMain, say, step } from './lib/log.mjs';
import { WINDOWS, at, targetDir } from './lib/paths.mjs';
import { must } from './lib/run.mjs';
import { buildDaemon, buildShell, prepareApp, prepareFor } from './lib/setup.mjs';

/** Puts programs where Tauri's bundler looks for what goes beside the app: under their name and the platform's triple. */
async function placeBeside(programs) {
  const { stdout } = await must('Asking rustc for this platform', 'rustc', ['-vV']);
  const triple = stdout.match(/^host: (.+)$/m)[1].trim();
  const folder = at('out', 'bundle');
  mkdirSync(folder, { recursive: true });
  for (const [name, path] of Object.entries(programs)) {
    copyFileSync(path, join(folder, `${name}-${triple}${WINDOWS ? '.exe' : ''}`));
  }
}

async function release() {
  const { engine } = await prepareFor(new Set(['build-packages', 'npm', 'ui', 'engine']));
  const daemon = await buildDaemon({ release: true });
  await placeBeside({ myownmesh: daemon, 'llama-server': engine });
  await buildShell({ release: true });
  await step('Making the package', () =>
    must('The package', 'npx', ['tauri', 'bundle', '--config', 'tauri.bundle.conf.json'], { cwd: at('src-tauri') }),
  );
  say(`\nThe package is in ${join(targetDir(), 'release', 'bundle')}`);
}

await runMain(async () => {
  if (process.argv.includes('--release')) return release();
  const { app, daemon } = await prepareApp();
  say(`\nThe app:    ${app}\nThe daemon: ${daemon}`);
});
