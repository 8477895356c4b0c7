// Tests of the engine script: where it looks, whom it waits for, what it refuses. `node --test scripts/`

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkHash } from './build.mjs';
import { takeLock } from './lock.mjs';
import { PIN, engineRoot } from './paths.mjs';

const exec = promisify(execFile);
const script = fileURLToPath(new URL('../engine.mjs', import.meta.url));
const skip = process.platform === 'win32' && 'the stand-ins are shell scripts';
let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'engine-test-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function standIn(path, text = 'echo "version: 1 (test)" >&2') {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Runs the script with only these variables; node is called by its full path. */
async function engine(env) {
  try {
    const { stdout } = await exec(process.execPath, [script], { env });
    return { path: stdout.trim() };
  } catch (error) {
    return { error: error.stderr, code: error.code };
  }
}

test('the environment comes before PATH, and PATH before the cache', { skip }, async () => {
  const given = standIn(join(folder, 'given/server'));
  const onPath = standIn(join(folder, 'bin/llama-server'));
  const cache = join(folder, 'cache');
  const cached = standIn(join(cache, `myownllm/engine/llama-server-${PIN.version}-r${PIN.recipe}/llama-server`));
  const home = { HOME: folder, XDG_CACHE_HOME: cache };
  const bin = dirname(onPath);
  assert.equal((await engine({ ...home, PATH: bin, MYOWNLLM_LLAMA_SERVER: given })).path, given);
  assert.equal((await engine({ ...home, PATH: bin })).path, onPath);
  if (process.platform === 'linux') assert.equal((await engine({ ...home, PATH: '' })).path, cached);
});

test('a broken llama-server on PATH is passed over, a broken one from the environment is told', { skip }, async () => {
  const broken = standIn(join(folder, 'broken/llama-server'), 'echo "cannot open shared object" >&2; exit 127');
  const cache = join(folder, 'cache2');
  const cached = standIn(join(cache, `myownllm/engine/llama-server-${PIN.version}-r${PIN.recipe}/llama-server`));
  const env = { HOME: folder, XDG_CACHE_HOME: cache, PATH: dirname(broken) };
  if (process.platform === 'linux') assert.equal((await engine(env)).path, cached);
  const told = await engine({ ...env, MYOWNLLM_LLAMA_SERVER: broken });
  assert.equal(told.code, 1);
  assert.match(told.error, /does not run: cannot open shared object/);
});

test('a variable that names no executable is an error with the next step', async () => {
  writeFileSync(join(folder, 'plain'), 'no program');
  for (const path of ['plain', 'missing', '.']) {
    const told = await engine({ ...process.env, MYOWNLLM_LLAMA_SERVER: join(folder, path) });
    assert.equal(told.code, 1);
    assert.match(told.error, /is not an executable file\. Point it at a llama-server binary, or unset it/);
  }
});

test('without a compiler it says what to install', { skip }, async () => {
  const told = await engine({ HOME: folder, XDG_CACHE_HOME: join(folder, 'empty'), PATH: join(folder, 'nothing') });
  assert.equal(told.code, 1);
  assert.match(told.error, /Building the engine needs python, .*C\+\+ compiler/);
  assert.match(told.error, /Or set MYOWNLLM_LLAMA_SERVER/);
  assert.equal(existsSync(join(folder, 'empty/myownllm/engine/build.lock')), false, 'the lock is given back');
});

test('the cache lies where each system keeps caches', () => {
  assert.equal(engineRoot({ XDG_CACHE_HOME: '/c' }, 'linux'), join('/c', 'myownllm', 'engine'));
  assert.match(engineRoot({ XDG_CACHE_HOME: 'relative' }, 'linux'), /\.cache/);
  assert.match(engineRoot({}, 'darwin'), /Library.Caches.myownllm.engine$/);
  assert.equal(engineRoot({ LOCALAPPDATA: 'L' }, 'win32'), join('L', 'myownllm', 'engine'));
});

test('a source package with another hash is refused', async () => {
  const archive = join(folder, 'package.tar.gz');
  writeFileSync(archive, 'tampered with');
  await assert.rejects(checkHash(archive), /is not the pinned source package \(SHA-256 [0-9a-f]{64}/);
  assert.match(PIN.sha256, /^[0-9a-f]{64}$/);
});

test('the second caller waits for the first, and not for one that died', async () => {
  const path = join(folder, 'locks/build.lock');
  const release = await takeLock(path);
  assert.equal(readFileSync(path, 'utf8').trim(), String(process.pid));
  const order = [];
  const second = takeLock(path, { onWait: (pid) => order.push(`waits for ${pid}`) }).then((give) => {
    order.push('has it');
    give();
  });
  while (order.length === 0) await new Promise(setImmediate);
  order.push('released');
  release();
  await second;
  assert.deepEqual(order, [`waits for ${process.pid}`, 'released', 'has it']);
  assert.equal(existsSync(path), false);

  // An owner that is gone: no process can have this number.
  writeFileSync(path, '4194305\n');
  utimesSync(path, new Date(Date.now() - 2_000), new Date(Date.now() - 2_000));
  (await takeLock(path))();
  // An owner whose number now belongs to another process: the file went stale.
  writeFileSync(path, `${process.ppid}\n`);
  utimesSync(path, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000));
  (await takeLock(path))();
});

test('waiting ends when the work is done', async () => {
  const path = join(folder, 'done/build.lock');
  const release = await takeLock(path);
  assert.equal(await takeLock(path, { until: () => true }), null);
  release();
});
