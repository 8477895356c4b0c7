#!/usr/bin/env node
// Every test that docs/SECURITY.md names exists, and runs: a promise without its test is only a promise.

import { readFileSync, readdirSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Refusal, runMain, say } from './lib/log.mjs';
import { at } from './lib/paths.mjs';

function* rustFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'target') yield* rustFiles(path);
    else if (entry.name.endsWith('.rs')) yield path;
  }
}

/** The tests of one file: functions below `#[test]` or `#[tokio::test]` that are not ignored. */
export function testsIn(source) {
  const attributes = /((?:^[ \t]*#\[.*\]\s*\n)+)[ \t]*(?:pub(?:\([a-z]+\))? )?(?:async )?fn (\w+)/gm;
  const runs = (text) => /#\[(?:tokio::)?test\b/.test(text) && !/#\[ignore\b/.test(text);
  return [...source.matchAll(attributes)].filter(([, text]) => runs(text)).map(([, , name]) => name);
}

/** The trials of a test binary that lists them itself: `module: name name;` in its `trials`. */
export function trialsIn(source) {
  const list = /fn trials\(\)[\s\S]*?\n\}/.exec(source)?.[0] ?? '';
  const trials = [];
  for (const [, module, names] of list.matchAll(/(\w+):\s*((?:\w+\s+)*\w+);/g)) {
    for (const name of names.split(/\s+/)) trials.push({ module, name });
  }
  return trials;
}

/** All tests, each with the folders, files and modules that it is found under. */
function allTests(root) {
  const tests = [];
  for (const file of rustFiles(root)) {
    const source = readFileSync(file, 'utf8');
    const place = relative(root, file).replace(/\.rs$/, '').split(/[\\/]/);
    // Unit tests at the end of a file are in its module `tests`.
    for (const name of testsIn(source)) tests.push({ name, place: [...place, 'tests'] });
    for (const { module, name } of trialsIn(source)) tests.push({ name, place: [...place, module] });
  }
  return tests;
}

/** Whether `modules` are among `place`, in this order. */
const under = (place, modules) => {
  let from = 0;
  return modules.every((module) => {
    from = place.indexOf(module, from) + 1;
    return from > 0;
  });
};

/** @returns {Promise<string[]>} what is wrong, in sentences */
export async function checkSecurityTests() {
  const text = readFileSync(at('docs', 'SECURITY.md'), 'utf8');
  const named = [...new Set([...text.matchAll(/`((?:[a-z_0-9]+::)+[a-z_0-9]+)`/g)].map((match) => match[1]))];
  const tests = allTests(at('sidecar'));
  const missing = named.filter((path) => {
    const modules = path.split('::');
    const name = modules.pop();
    return !tests.some((test) => test.name === name && under(test.place, modules));
  });
  const problems = missing.map(
    (path) =>
      `docs/SECURITY.md names the test ${path}, which does not exist or is ignored. Name the one that holds it.`,
  );
  if (named.length === 0) problems.push('docs/SECURITY.md names no test.');
  const bare = text.split('\n').filter((line) => /^\| .* \| *\|$/.test(line));
  return [...problems, ...bare.map((line) => `A promise without a test: ${line}`)];
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    const problems = await checkSecurityTests();
    if (problems.length > 0) throw new Refusal(problems.join('\n'));
    say('Every promise of docs/SECURITY.md has its tests.');
  });
}
