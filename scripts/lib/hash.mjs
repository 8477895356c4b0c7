// "Has anything changed since?": a hash over files, kept where `npm ci` throws it away together with what it vouches for.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { at } from './paths.mjs';

function* files(path, skip) {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  for (const name of readdirSync(path).sort()) {
    if (!skip.includes(name)) yield* files(join(path, name), skip);
  }
}

/** A hash of the content of files and folders. */
export function hashOf(paths, skip = []) {
  const hash = createHash('sha256');
  for (const path of paths) {
    for (const file of files(path, skip)) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

const stamp = (name) => at('node_modules', '.myownllm', name);

/** Whether `name` was last done with this very hash. */
export function isFresh(name, hash) {
  return existsSync(stamp(name)) && readFileSync(stamp(name), 'utf8') === hash;
}

export function markFresh(name, hash) {
  mkdirSync(dirname(stamp(name)), { recursive: true });
  writeFileSync(stamp(name), hash);
}
