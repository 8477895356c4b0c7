// What counts as a test that holds a promise.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testsIn, trialsIn } from './check-security-tests.mjs';

test('tests that run are found, ignored ones and helpers are not', () => {
  const source = `
#[test]
fn plain() {}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_runtime() {}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_linux() {}

proptest! {
    #[test]
    fn of_any_bytes(bytes in any_bytes()) {}
}

#[test]
#[ignore = "too slow"]
fn ignored() {}

#[must_use]
fn helper() {}
`;
  assert.deepEqual(testsIn(source), ['plain', 'in_a_runtime', 'on_linux', 'of_any_bytes']);
});

test('trials that wait are no tests yet', () => {
  const source = `
fn trials() -> Vec<Trial> {
    tests! {
        heal:
            one
            two;
        members: three;
    }
}

fn waiting() -> Vec<Trial> {
    tests! { heal: four; }
}
`;
  assert.deepEqual(trialsIn(source), [
    { module: 'heal', name: 'one' },
    { module: 'heal', name: 'two' },
    { module: 'members', name: 'three' },
  ]);
});
