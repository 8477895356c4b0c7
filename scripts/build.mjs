#!/usr/bin/env node
// `npm run build`: everything, in order. `npm run build -- --release` also makes the installable package (.deb on Linux).

import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runMain, say, step } from './lib/log.mjs';
import { WINDOWS, at, targetDir } from './lib/paths.mjs';
import { must } from './lib/run.mjs';
import { TO_BUILD, ensureDebian } from './lib/debian.mjs';
import { buildDaemon, buildShell, buildUi, ensureNpm, ensureTarget, ensureTools, prepareApp } from './lib/setup.mjs';

/** The daemon under the name that Tauri's bundler looks for: with the platform's triple. */
async function placeSidecar(daemon) {
  const { stdout } = await must('Asking rustc for this platform', 'rustc', ['-vV']);
  const triple = stdout.match(/^host: (.+)$/m)[1].trim();
  const folder = join(targetDir(), 'bundle-bin');
  mkdirSync(folder, { recursive: true });
  copyFileSync(daemon, join(folder, `myownmesh-${triple}${WINDOWS ? '.exe' : ''}`));
}

async function release() {
  ensureTools();
  await ensureDebian(TO_BUILD);
  await ensureNpm();
  ensureTarget();
  await buildUi();
  await placeSidecar(await buildDaemon({ release: true }));
  await buildShell({ release: true });
  await step('Making the package', () =>
    must('The package', 'npx', ['tauri', 'bundle', '--config', at('src-tauri', 'tauri.bundle.conf.json')], {
      cwd: at('src-tauri'),
      show: true,
    }),
  );
  say(`The package is in ${join(targetDir(), 'release', 'bundle')}`);
}

await runMain(async () => {
  if (process.argv.includes('--release')) return release();
  const { app, daemon } = await prepareApp();
  say(`\nThe app:    ${app}\nThe daemon: ${daemon}`);
});
