#!/usr/bin/env node
// `npm run conformance`: runs the official clients against the local API (the suite `clients`) and writes what came of each
// check into the table of docs/API.md.

import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Refusal, runMain, say, step } from './lib/log.mjs';
import { at } from './lib/paths.mjs';
import { run } from './lib/run.mjs';
import { prepareFor } from './lib/setup.mjs';

const [BEGIN, END] = ['<!-- conformance: begin -->', '<!-- conformance: end -->'];

/** The table: a row for each check of each client, a column for each place. */
export function table(runs) {
  const places = [...new Set(runs.map(({ where }) => where))];
  const lines = [`| client | check | ${places.join(' | ')} |`, `|---|---|${places.map(() => '---|').join('')}`];
  for (const client of new Set(runs.map((one) => one.client))) {
    const own = runs.filter((one) => one.client === client);
    for (const check of new Set(own.flatMap(({ results }) => results.map((result) => result.check)))) {
      const cells = places.map((place) => {
        const result = own.find(({ where }) => where === place)?.results.find((one) => one.check === check);
        return result ? (result.passed ? 'yes' : '**no**') : '';
      });
      lines.push(`| ${client} | ${check} | ${cells.join(' | ')} |`);
    }
  }
  return lines.join('\n');
}

/** `text` with `table` between the marks. */
export function placed(text, table) {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Refusal(`docs/API.md has lost its marks ${BEGIN} and ${END}. Put them back.`);
  return `${text.slice(0, from + BEGIN.length)}\n\n${table}\n\n${text.slice(to)}`;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    const { env } = await prepareFor(new Set(['npm', 'engine', 'daemon', 'test-packages']));
    const file = at('out', 'conformance.json');
    mkdirSync(at('out'), { recursive: true });
    rmSync(file, { force: true });
    const test = [process.execPath, '--test', at('scripts', 'e2e', 'clients.test.mjs')];
    const { code, output } = await step('Asking with the official clients', () =>
      run(test[0], test.slice(1), { env: { ...env, MYOWNLLM_CONFORMANCE: file }, timeout: 600_000 }),
    );
    const doc = at('docs', 'API.md');
    writeFileSync(doc, placed(readFileSync(doc, 'utf8'), table(JSON.parse(readFileSync(file, 'utf8')))));
    say('docs/API.md has the table of this run.');
    if (code !== 0) throw new Refusal(`Some checks failed, and the table says which.\n${output.slice(-4000)}`);
  });
}
