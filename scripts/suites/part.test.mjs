// The counting that `npm test` ends with: what each runner prints, read right.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNT, check } from './part.mjs';

const ended = (code, output) => ({ code, output });

test('cargo test: every binary and the doc tests are added up', () => {
  const output = [
    'test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s',
    'test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s',
  ].join('\n');
  assert.deepEqual(COUNT.cargo(ended(101, output)), { passed: 15, failed: 2 });
});

test('nextest: the summary, with slow, leaky and failed tests', () => {
  const whole = '     Summary [   6.607s] 18 tests run: 18 passed, 0 skipped';
  assert.deepEqual(COUNT.nextest(ended(0, whole)), { passed: 18, failed: 0 });
  const mixed = '     Summary [  25.523s] 14/18 tests run: 12 passed (1 slow, 2 leaky), 2 failed, 0 skipped';
  assert.deepEqual(COUNT.nextest(ended(100, mixed)), { passed: 12, failed: 2 });
  const one = '     Summary [   0.1s] 1 test run: 1 passed, 3 skipped';
  assert.deepEqual(COUNT.nextest(ended(0, one)), { passed: 1, failed: 0 });
  const late = '     Summary [  90.0s] 10 tests run: 8 passed, 1 failed, 1 timed out, 0 skipped';
  assert.deepEqual(COUNT.nextest(ended(100, late)), { passed: 8, failed: 2 });
});

test("node's runner: TAP, cancelled tests are failures", () => {
  const output = '# tests 5\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 0';
  assert.deepEqual(COUNT.node(ended(1, output)), { passed: 3, failed: 2 });
});

test('a run that did not get to counting is one failure', () => {
  for (const count of Object.values(COUNT)) {
    assert.deepEqual(count(ended(101, 'error: could not compile')), { passed: 0, failed: 1 });
  }
});

test('a runner that ends badly without a failed test is a failure still', () => {
  assert.deepEqual(COUNT.node(ended(1, '# pass 4\n# fail 0')), { passed: 4, failed: 1 });
});

test('a check fails with its problems, and when it cannot run', async () => {
  assert.equal((await check('fine', async () => [])).failed, 0);
  const problem = await check('not fine', async () => ['mesh depends on daemon']);
  assert.deepEqual([problem.passed, problem.failed, problem.output], [0, 1, 'mesh depends on daemon']);
  const broken = await check('broken', () => Promise.reject(new Error('no cargo')));
  assert.deepEqual([broken.failed, broken.output], [1, 'no cargo']);
});
