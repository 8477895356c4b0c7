// Where the engine may already be: an environment variable, PATH, or this user's cache. Builds nothing.
// The daemon looks in the same places in the same order (sidecar/compute/src/builtin/locate.rs).

import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** The source package the engine is built from. `recipe` goes up when the build flags change. */
export const PIN = JSON.parse(readFileSync(new URL('./pin.json', import.meta.url), 'utf8'));
export const BINARY = process.platform === 'win32' ? 'llama-server.exe' : 'llama-server';

/** An error whose text is a sentence with the next step; the command line prints it without a stack. */
export class EngineError extends Error {}

/** `<user cache>/myownllm/engine` */
export function engineRoot(env = process.env, platform = process.platform) {
  let cache;
  if (platform === 'win32') cache = env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local');
  else if (platform === 'darwin') cache = join(homedir(), 'Library', 'Caches');
  else cache = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(homedir(), '.cache');
  return join(cache, 'myownllm', 'engine');
}

/** The folder of the one build that this checkout pins. */
export function cachedFolder() {
  return join(engineRoot(), `llama-server-${PIN.version}-r${PIN.recipe}`);
}

export function isExecutable(path) {
  try {
    accessSync(path, process.platform === 'win32' ? constants.F_OK : constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function onPath(name) {
  const names = process.platform === 'win32' ? [`${name}.exe`, name] : [name];
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
    for (const candidate of names.map((n) => join(folder, n))) {
      if (isExecutable(candidate)) return candidate;
    }
  }
  return null;
}

/** Runs `--version`; returns its first line, or throws the reason. */
export async function smokeTest(path) {
  try {
    const { stdout, stderr } = await exec(path, ['--version'], { timeout: 30_000 });
    const line = `${stderr}\n${stdout}`.split('\n').find((l) => l.startsWith('version'));
    return line ?? 'version unknown';
  } catch (error) {
    const last = String(error.stderr ?? '')
      .trim()
      .split('\n')
      .pop();
    throw new EngineError(`${path} does not run: ${last || error.message}`);
  }
}

/**
 * The engine that is already there, or null.
 * @returns {Promise<{path: string, from: 'environment' | 'path' | 'cache'} | null>}
 */
export async function findEngine() {
  const given = process.env.MYOWNLLM_LLAMA_SERVER;
  if (given) {
    const path = resolve(given);
    if (!isExecutable(path)) {
      throw new EngineError(
        `MYOWNLLM_LLAMA_SERVER names ${path}, which is not an executable file. ` +
          'Point it at a llama-server binary, or unset it to use the built one.',
      );
    }
    await smokeTest(path);
    return { path, from: 'environment' };
  }
  const found = onPath('llama-server');
  if (found) {
    try {
      await smokeTest(found);
      return { path: found, from: 'path' };
    } catch {
      // A broken one on PATH (a missing shared library, say) is no reason to stop: ours comes next.
    }
  }
  const cached = join(cachedFolder(), BINARY);
  return isExecutable(cached) ? { path: cached, from: 'cache' } : null;
}
