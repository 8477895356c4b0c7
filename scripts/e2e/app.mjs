// The app under test: its own home, a daemon that touches nothing else, and the window that WebDriver holds.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALONE, Device, NO_KEYCHAIN, until } from '../lib/mesh.mjs';
import { built } from '../lib/paths.mjs';
import { run } from '../lib/run.mjs';
import { Window } from './webdriver.mjs';

const PROGRAM = () => process.env.MYOWNLLM_APP || built('myownllm');

const quoted = (words) => words.map((word) => `'${word}'`).join(' ');

export class App {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'myownllm-window-'));
    /** The same home through the command line. */
    this.device = new Device('Window');
    this.pidFile = join(this.folder, 'daemon.pid');
    this.launcher = join(this.folder, 'myownmesh');
    this.#writeLauncher();
    this.#writeDownloads();
  }

  /** Where this app keeps what a person exports. */
  downloaded(name) {
    return join(this.folder, 'downloads', name);
  }

  #writeDownloads() {
    mkdirSync(join(this.folder, 'config'));
    const places = `XDG_DOWNLOAD_DIR="${join(this.folder, 'downloads')}"\n`;
    writeFileSync(join(this.folder, 'config', 'user-dirs.dirs'), places);
  }

  /** The daemon as the app starts it: the real one, with the flags that keep it to itself, and its process id noted. */
  #writeLauncher() {
    const keychain = Object.entries(NO_KEYCHAIN).map(([name, value]) => `export ${name}='${value}'`);
    const command = `exec '${process.env.MYOWNLLM_MESH_BIN || built('myownmesh')}' "$@" ${quoted(ALONE)}`;
    const script = ['#!/bin/sh', ...keychain, `echo $$ > '${this.pidFile}'`, command, ''].join('\n');
    writeFileSync(this.launcher, script, { mode: 0o755 });
  }

  /** What every start of this app has in its environment. */
  get env() {
    return {
      MYOWNMESH_HOME: this.device.home,
      MYOWNLLM_MESH_BIN: this.launcher,
      // What the app remembers of its window, and tells the system of itself, must not come from, or go to, the person's own.
      XDG_DATA_HOME: join(this.folder, 'data'),
      XDG_CONFIG_HOME: join(this.folder, 'config'),
    };
  }

  /** Starts the app with `args`; `env` adds to its environment. */
  async open(env = {}, args = []) {
    this.window = await Window.open(PROGRAM(), { ...this.env, ...env }, args);
    return this.window;
  }

  /** Starts the app once more, as a second click on its icon does; returns how it ended. */
  startAgain(...args) {
    return run(PROGRAM(), args, { env: this.env, timeout: 20_000 });
  }

  /** Process id of the daemon that the app started last; waits for one that is not `other`. */
  daemon(other) {
    return until('a daemon that the app started', () => {
      const pid = existsSync(this.pidFile) ? Number(readFileSync(this.pidFile, 'utf8')) : NaN;
      return pid > 0 && pid !== other ? pid : null;
    });
  }

  async close() {
    await this.window?.close();
    this.window = undefined;
  }

  async remove() {
    await this.close();
    await this.device.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
