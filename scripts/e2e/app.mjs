// The app under test: its own home, a daemon that touches nothing else, and the window that WebDriver holds.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALONE, Device, NO_KEYCHAIN, until } from '../lib/mesh.mjs';
import { built } from '../lib/paths.mjs';
import { Window } from './webdriver.mjs';

const quoted = (words) => words.map((word) => `'${word}'`).join(' ');

export class App {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'myownllm-window-'));
    /** The same home through the command line. */
    this.device = new Device('Window');
    this.pidFile = join(this.folder, 'daemon.pid');
    this.launcher = join(this.folder, 'myownmesh');
    this.#writeLauncher();
  }

  /** The daemon as the app starts it: the real one, with the flags that keep it to itself, and its process id noted. */
  #writeLauncher() {
    const keychain = Object.entries(NO_KEYCHAIN).map(([name, value]) => `export ${name}='${value}'`);
    const command = `exec '${process.env.MYOWNLLM_MESH_BIN || built('myownmesh')}' "$@" ${quoted(ALONE)}`;
    const script = ['#!/bin/sh', ...keychain, `echo $$ > '${this.pidFile}'`, command, ''].join('\n');
    writeFileSync(this.launcher, script, { mode: 0o755 });
  }

  async open(env = {}) {
    const own = {
      MYOWNMESH_HOME: this.device.home,
      MYOWNLLM_MESH_BIN: this.launcher,
      // What the app remembers of its window must not come from, or go to, the person's own.
      XDG_DATA_HOME: join(this.folder, 'data'),
      XDG_CONFIG_HOME: join(this.folder, 'config'),
    };
    this.window = await Window.open(process.env.MYOWNLLM_APP || built('myownllm'), { ...own, ...env });
    return this.window;
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
