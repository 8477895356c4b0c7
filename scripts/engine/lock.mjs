// One build at a time per user: a lock file with its owner's pid, kept fresh while the owner lives.

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const FRESH_MS = 5_000; // how often the owner touches the file
const STALE_MS = 60_000; // untouched for so long: the owner is gone, whatever now has its pid
const POLL_MS = 500;

function ownerOf(path) {
  try {
    return { pid: Number(readFileSync(path, 'utf8').trim()), age: Date.now() - statSync(path).mtimeMs };
  } catch {
    return null; // released in between
  }
}

export function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function tryTake(path) {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Waits for the lock, recovering one whose owner died. If two callers recover the same stale lock at once, both may
 * build; each does so in its own folder and the last step is a rename, so the cost is time and nothing else.
 * @param {string} path
 * @param {{onWait?: (pid: number) => void, until?: () => boolean}} options `until`: give up waiting, the work is done
 * @returns {Promise<(() => void) | null>} the release function, or null when `until` came true
 */
export async function takeLock(path, { onWait, until } = {}) {
  mkdirSync(dirname(path), { recursive: true });
  let told = null;
  while (!tryTake(path)) {
    if (until?.()) return null;
    const owner = ownerOf(path);
    if (owner && (owner.age > STALE_MS || (!isAlive(owner.pid) && owner.age > 1_000))) {
      const aside = `${path}.stale-${process.pid}`;
      try {
        renameSync(path, aside);
        rmSync(aside, { force: true });
      } catch (error) {
        if (error.code !== 'ENOENT') throw error; // another caller was faster
      }
      continue;
    }
    if (owner && told !== owner.pid) {
      told = owner.pid;
      onWait?.(owner.pid);
    }
    await sleep(POLL_MS);
  }
  const keepFresh = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Removed by hand: the build goes on, see above.
    }
  }, FRESH_MS);
  keepFresh.unref();
  return () => {
    clearInterval(keepFresh);
    if (ownerOf(path)?.pid === process.pid) rmSync(path, { force: true });
  };
}
