#!/usr/bin/env node
// The dependency direction of docs/ARCHITECTURE.md, checked against what cargo resolves:
// src-tauri -> control <- daemon -> {mesh, compute} -> http1; control and http1 import no crate of the workspace.

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Refusal, runMain, say } from './lib/log.mjs';
import { must } from './lib/run.mjs';

const ALLOWED = {
  'myownmesh-control': [],
  'myownmesh-http1': [],
  'myownmesh-mesh': ['myownmesh-http1'],
  'myownmesh-compute': ['myownmesh-http1'],
  myownmesh: ['myownmesh-compute', 'myownmesh-control', 'myownmesh-http1', 'myownmesh-mesh'],
  myownllm: ['myownmesh-control'],
};

/** What a crate must not pull in, directly or not. */
const FORBIDDEN = {
  myownllm: ['iroh', 'rusqlite', 'axum'],
  'myownmesh-compute': ['iroh'],
  'myownmesh-control': ['iroh', 'rusqlite', 'tauri'],
  'myownmesh-mesh': ['tauri'],
};

async function tree(name) {
  const args = ['tree', '-p', name, '--edges', 'normal,build', '--prefix', 'none', '--format', '{p}', '--locked'];
  const { stdout } = await must(`cargo tree of ${name}`, 'cargo', args);
  return new Set(
    stdout
      .split('\n')
      .map((line) => line.split(' ')[0])
      .filter(Boolean),
  );
}

/** @returns {Promise<string[]>} what is wrong, in sentences */
export async function checkLayers() {
  const problems = [];
  for (const [name, allowed] of Object.entries(ALLOWED)) {
    const dependencies = await tree(name);
    dependencies.delete(name);
    for (const other of Object.keys(ALLOWED).filter((other) => other !== name && dependencies.has(other))) {
      if (!allowed.includes(other)) problems.push(`${name} depends on ${other}, and must not.`);
    }
    for (const other of FORBIDDEN[name] ?? []) {
      if (dependencies.has(other)) problems.push(`${name} pulls in ${other}, and must not.`);
    }
  }
  return problems;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    const problems = await checkLayers();
    if (problems.length > 0) throw new Refusal(problems.join('\n'));
    say('The dependency direction holds.');
  });
}
