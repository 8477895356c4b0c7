// Where things are: this checkout, this user's cache, what the build makes.

import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const WINDOWS = process.platform === 'win32';

/** The checkout. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A path inside the checkout. */
export const at = (...parts) => join(ROOT, ...parts);

/** This user's cache of the project, shared by all checkouts: compiled crates, the engine. */
export function cacheDir(env = process.env, platform = process.platform) {
  const base =
    platform === 'win32'
      ? env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local')
      : platform === 'darwin'
        ? join(homedir(), 'Library', 'Caches')
        : env.XDG_CACHE_HOME?.startsWith('/')
          ? env.XDG_CACHE_HOME
          : join(homedir(), '.cache');
  return join(base, 'myownllm');
}

/** Cargo's output folder. */
export const targetDir = () => process.env.CARGO_TARGET_DIR || at('target');

/** A program that the build makes. */
export const built = (name, profile = 'debug') => join(targetDir(), profile, WINDOWS ? `${name}.exe` : name);

/** The path of a program on PATH, or null. */
export function which(name, path = process.env.PATH ?? '') {
  const names = WINDOWS ? [`${name}.exe`, `${name}.cmd`, name] : [name];
  for (const folder of path.split(delimiter).filter(Boolean)) {
    for (const candidate of names.map((n) => join(folder, n))) {
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // Not here.
      }
    }
  }
  return null;
}
