// The pieces that every script leans on.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasDisplay } from './display.mjs';
import { hashOf } from './hash.mjs';
import { Refusal, duration } from './log.mjs';
import { until } from './mesh.mjs';
import { cacheDir, which } from './paths.mjs';
import { must, run } from './run.mjs';

test('a duration reads well', () => {
  assert.equal(duration(3.4), '3 ms');
  assert.equal(duration(4210), '4.2 s');
  assert.equal(duration(185_000), '3 min 5 s');
  assert.equal(duration(119_999), '2 min 0 s');
});

test('a display is what the system says', () => {
  assert.equal(hasDisplay({}, 'linux'), false);
  assert.equal(hasDisplay({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux'), true);
  assert.equal(hasDisplay({}, 'darwin'), true);
});

test('the cache is where the platform wants it', () => {
  assert.equal(cacheDir({ XDG_CACHE_HOME: '/c' }, 'linux'), join('/c', 'myownllm'));
  assert.ok(cacheDir({ XDG_CACHE_HOME: 'relative' }, 'linux').endsWith(join('.cache', 'myownllm')));
  assert.equal(cacheDir({ LOCALAPPDATA: 'L' }, 'win32'), join('L', 'myownllm'));
});

test('a hash changes with a name, a byte and a new file, and not by itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'myownllm-hash-'));
  try {
    writeFileSync(join(folder, 'a'), '1');
    const first = hashOf([folder]);
    assert.equal(hashOf([folder]), first);
    writeFileSync(join(folder, 'skipped'), 'x');
    assert.equal(hashOf([folder], ['skipped']), first);
    assert.notEqual(hashOf([folder]), first);
    writeFileSync(join(folder, 'a'), '2');
    assert.notEqual(hashOf([folder], ['skipped']), first);
    assert.ok(hashOf([join(folder, 'not there')]));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a program that fails says how, with the ends of what it printed', async () => {
  const script =
    'console.log("first"); for (let i = 0; i < 100; i++) console.log(i); console.error("last"); process.exit(3)';
  await assert.rejects(must('The trial', process.execPath, ['-e', script]), (error) => {
    assert.ok(error instanceof Refusal);
    assert.match(error.message, /The trial failed .*exit code 3/);
    assert.match(error.message, /first[^]*lines \.\.\.[^]*last/);
    return true;
  });
});

test('a program that is not there, and one that takes too long', async () => {
  await assert.rejects(run('no-such-program-here', []), /could not be started/);
  const endless = await run(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { timeout: 200 });
  assert.notEqual(endless.code, 0);
});

test('input reaches the program, output comes back apart and together', async () => {
  const script = 'process.stdin.on("data", (d) => { console.log(String(d)); console.error("aside"); })';
  const result = await run(process.execPath, ['-e', script], { input: 'hello' });
  assert.equal(result.stdout, 'hello\n');
  assert.match(result.output, /aside/);
});

test('waiting ends with the answer, or with what was waited for', async () => {
  let asked = 0;
  assert.equal(await until('three', () => (++asked === 3 ? asked : null), { every: 1 }), 3);
  await assert.rejects(
    until('nothing', () => null, { within: 10, every: 1 }),
    /in vain for nothing/,
  );
});

test('programs are found on PATH', () => {
  assert.ok(which('node'));
  assert.equal(which('no-such-program-here'), null);
});
