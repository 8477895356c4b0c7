#!/usr/bin/env node
// The built-in engine: `npm run engine` finds llama-server, or builds it once per machine, and prints its path.
//
// In this order: $MYOWNLLM_LLAMA_SERVER, `llama-server` on PATH, the one in this user's cache, a build from the
// pinned source package. Other scripts import `ensureEngine`. Node's own modules only: it runs before `npm install`.

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildEngine } from './engine/build.mjs';
import { EngineError, findEngine } from './engine/paths.mjs';

export { EngineError, findEngine };

/**
 * @param {{quiet?: boolean}} options `quiet`: no progress lines (they go to stderr)
 * @returns {Promise<string>} the path of a llama-server that runs
 */
export async function ensureEngine({ quiet = false } = {}) {
  const say = quiet ? () => {} : (line) => console.error(`engine: ${line}`);
  const found = await findEngine();
  if (found) {
    say(`using ${found.path} (from the ${found.from})`);
    return found.path;
  }
  say('no llama-server here yet: building it once, about 6 minutes on two free cores');
  return buildEngine(say);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await ensureEngine({ quiet: process.argv.includes('--quiet') }));
  } catch (error) {
    console.error(error instanceof EngineError ? `engine: ${error.message}` : error);
    process.exitCode = 1;
  }
}
