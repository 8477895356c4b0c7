// Makes a checkout ready to run, in order, doing only what is not done yet.

import { existsSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ensureEngine } from '../engine.mjs';
import { COMPILER, TO_BUILD, TO_TEST, ensureDebian } from './debian.mjs';
import { hashOf, isFresh, markFresh } from './hash.mjs';
import { Refusal, step } from './log.mjs';
import { WINDOWS, at, built, cacheDir, which } from './paths.mjs';
import { must } from './run.mjs';

/** Node new enough, Rust there. */
export function ensureTools() {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new Refusal(`Node 20 or newer is needed; this is ${process.version}. See https://nodejs.org.`);
  }
  const cargoHome = process.env.CARGO_HOME || join(homedir(), '.cargo');
  if (!which('cargo')) process.env.PATH = `${process.env.PATH}${delimiter}${join(cargoHome, 'bin')}`;
  if (!which('cargo')) throw new Refusal('Rust is needed. Install it from https://rustup.rs, then try again.');
}

/** `npm ci`, when the lock file has changed since the last one. */
export async function ensureNpm() {
  const locked = existsSync(at('package-lock.json'));
  const hash = hashOf([at('package-lock.json'), at('package.json'), at('ui', 'package.json')]);
  if (isFresh('npm', hash)) return;
  await step('Installing npm packages', () =>
    must('npm', 'npm', [locked ? 'ci' : 'install', '--no-audit', '--no-fund']),
  );
  markFresh('npm', locked ? hash : hashOf([at('package-lock.json'), at('package.json'), at('ui', 'package.json')]));
}

/**
 * Cargo's output goes to this user's cache, so that a second clone does not compile everything again. A `target` folder
 * that is there, or CARGO_TARGET_DIR, is respected.
 */
export function ensureTarget() {
  if (process.env.CARGO_TARGET_DIR) return;
  const shared = join(cacheDir(), 'target');
  const there = lstatSync(at('target'), { throwIfNoEntry: false });
  if (there?.isSymbolicLink() || !there) mkdirSync(shared, { recursive: true });
  if (!there) symlinkSync(shared, at('target'), WINDOWS ? 'junction' : 'dir');
}

/** The interface, as it is embedded in the app. Skipped when nothing it is made of has changed. */
export async function buildUi() {
  const inputs = [at('ui'), at('package-lock.json')];
  const hash = hashOf(inputs, ['dist', 'node_modules', 'e2e']);
  if (existsSync(at('ui', 'dist', 'index.html')) && isFresh('ui', hash)) return;
  await step('Building the interface', () => must('The build of the interface', 'npm', ['run', 'build', '-w', 'ui']));
  markFresh('ui', hash);
}

/** The daemon and its command line. MYOWNLLM_MESH_BIN names another one, which is then used as it is. */
export async function buildDaemon({ release = false } = {}) {
  if (process.env.MYOWNLLM_MESH_BIN && !release) return process.env.MYOWNLLM_MESH_BIN;
  const args = ['build', ...(release ? ['--release'] : [])];
  await step('Building the daemon', () => must('The build of the daemon', 'cargo', args, { show: true }));
  return built('myownmesh', release ? 'release' : 'debug');
}

/** The window. A build of its own: together with the daemon its features would have iroh compiled a second time. */
export async function buildShell({ release = false } = {}) {
  const args = ['build', '-p', 'myownllm', ...(release ? ['--release'] : [])];
  await step('Building the app', () => must('The build of the app', 'cargo', args, { show: true }));
  return built('myownllm', release ? 'release' : 'debug');
}

/**
 * Sets up what is asked for, in order, and returns where it is.
 * @param {Set<string>} needs of: build-packages, test-packages, npm, ui, engine, daemon, app (which needs all but the tests')
 * @returns {Promise<{engine?: string, daemon?: string, app?: string, env: object}>} `env`: for programs that look for them
 */
export async function prepareFor(needs) {
  const app = needs.has('app');
  const wants = (need) => app || needs.has(need);
  const found = { env: {} };
  ensureTools();
  const packages = wants('build-packages') ? TO_BUILD : COMPILER;
  await ensureDebian([...packages, ...(needs.has('test-packages') ? TO_TEST : [])]);
  ensureTarget();
  if (wants('npm')) await ensureNpm();
  if (wants('engine')) {
    await step('Looking for the engine', async () => void (found.engine = await ensureEngine({ quiet: false })));
    found.env.MYOWNLLM_LLAMA_SERVER = found.engine;
  }
  if (wants('ui')) await buildUi();
  if (wants('daemon')) {
    found.daemon = await buildDaemon();
    found.env.MYOWNLLM_MESH_BIN = found.daemon;
  }
  if (app) {
    found.app = await buildShell();
    found.env.MYOWNLLM_APP = found.app;
  }
  return found;
}

/** What the terminal story needs: the engine and the daemon. */
export const prepareDaemon = () => prepareFor(new Set(['engine', 'daemon']));

/** Everything that the app needs. */
export const prepareApp = () => prepareFor(new Set(['build-packages', 'npm', 'ui', 'engine', 'daemon', 'app']));
