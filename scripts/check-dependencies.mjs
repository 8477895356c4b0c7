#!/usr/bin/env node
// Every direct dependency, Rust and npm, has its line in docs/DEPENDENCIES.md, and every line there a dependency.

import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Refusal, runMain, say } from './lib/log.mjs';
import { at } from './lib/paths.mjs';
import { must } from './lib/run.mjs';

async function rustDependencies() {
  const { stdout } = await must('cargo metadata', 'cargo', [
    'metadata',
    '--no-deps',
    '--format-version',
    '1',
    '--locked',
  ]);
  const { packages } = JSON.parse(stdout);
  const own = new Set(packages.map((p) => p.name));
  const names = packages.flatMap((p) => p.dependencies.map((d) => d.name));
  return new Set(names.filter((name) => !own.has(name)));
}

function npmDependencies() {
  const names = ['package.json', 'ui/package.json'].flatMap((file) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(at(file), 'utf8'));
    return [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  });
  return new Set(names);
}

/** @returns {Promise<string[]>} what is wrong, in sentences */
export async function checkDependencies() {
  const text = readFileSync(at('docs', 'DEPENDENCIES.md'), 'utf8');
  // A line of a table starts with the name in code style: | `tokio` | why |
  const listed = new Set([...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]));
  const used = new Set([...(await rustDependencies()), ...npmDependencies()]);
  return [
    ...[...used]
      .filter((name) => !listed.has(name))
      .map((name) => `${name} has no line in docs/DEPENDENCIES.md. Say why it is here.`),
    ...[...listed]
      .filter((name) => !used.has(name))
      .map((name) => `docs/DEPENDENCIES.md lists ${name}, which nothing uses any more.`),
  ].sort();
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    const problems = await checkDependencies();
    if (problems.length > 0) throw new Refusal(problems.join('\n'));
    say('Every direct dependency has its reason.');
  });
}
