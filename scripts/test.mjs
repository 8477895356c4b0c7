#!/usr/bin/env node
// `npm test`: sets up what is missing, runs every suite in order, and ends with a table and one line: `N passed, N failed`.
// `npm test -- rust ui` runs only those; `npm run check` is `npm test -- check`.

import { mkdirSync, writeFileSync } from 'node:fs';
import { Refusal, bold, duration, green, quiet, red, runMain, say } from './lib/log.mjs';
import { at } from './lib/paths.mjs';
import { prepareFor } from './lib/setup.mjs';
import { SUITES } from './suites/index.mjs';

function chosen(names) {
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    throw new Refusal(`There is no suite ${unknown.join(', ')}. The suites: ${SUITES.map((s) => s.name).join(', ')}.`);
  }
  return names.length > 0 ? SUITES.filter((suite) => names.includes(suite.name)) : SUITES;
}

/** Runs one suite; what goes wrong in it is a failure of that suite and not the end of the others. */
async function runSuite(suite, tools) {
  say(`\n${bold(suite.name)} ${quiet(suite.about)}`);
  const started = performance.now();
  const result = { name: suite.name, passed: 0, failed: 0, note: '' };
  const log = [];
  try {
    for await (const part of suite.run(tools)) {
      result.passed += part.passed;
      result.failed += part.failed;
      log.push(`===== ${part.title}\n${part.output}`);
      const counts = part.failed > 0 ? red(`${part.failed} failed, ${part.passed} passed`) : `${part.passed} passed`;
      say(`  ${part.failed > 0 ? red('x') : green('+')} ${part.title} ${quiet(`(${counts}, ${duration(part.ms)})`)}`);
      if (part.failed > 0) say(part.output.trimEnd().split('\n').slice(-120).join('\n'));
    }
  } catch (error) {
    result.failed += 1;
    result.note = error.message.split('\n')[0];
    log.push(error.stack);
    say(`  ${red('x')} ${error instanceof Refusal ? error.message : error.stack}`);
  }
  mkdirSync(at('out', 'logs'), { recursive: true });
  writeFileSync(at('out', 'logs', `${suite.name}.log`), log.join('\n'));
  return { ...result, ms: performance.now() - started };
}

function table(results) {
  const rows = results.map((r) => [r.name, String(r.passed), String(r.failed), duration(r.ms), r.note]);
  const header = ['suite', 'passed', 'failed', 'time', ''];
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i].length)));
  const line = (row) =>
    row.map((cell, i) => (i === 1 || i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ');
  say(`\n${bold(line(header))}`);
  rows.forEach((row, i) => say(results[i].failed > 0 ? red(line(row)) : line(row)));
}

await runMain(async () => {
  const suites = chosen(process.argv.slice(2)).filter((suite) => {
    if (suite.here()) return true;
    say(`${suite.name}: not on this system (${suite.about})`);
    return false;
  });
  const started = performance.now();
  const tools = await prepareFor(new Set(suites.flatMap((suite) => suite.needs)));
  const results = [];
  for (const suite of suites) results.push(await runSuite(suite, tools));
  table(results);
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  say(quiet(`\n${duration(performance.now() - started)}, logs in out/logs`));
  say(`${sum('passed')} passed, ${sum('failed')} failed`);
  return sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
});
