// The desktop around the window: a real notification server (dunst) on the test's own session bus, and what opens links.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../lib/mesh.mjs';
import { must, start } from '../lib/run.mjs';

/** Every notification stays until somebody acts, and its title is noted. */
const dunstrc = (note) => `
[global]
    sort = false
    notification_limit = 0
[urgency_low]
    timeout = 0
[urgency_normal]
    timeout = 0
[urgency_critical]
    timeout = 0
[note]
    summary = "*"
    script = "${note}"
`;

/** The notification server of a desktop. */
export class Notifications {
  static async open() {
    const server = new Notifications();
    await server.#started();
    return server;
  }

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'myownllm-desktop-'));
    this.titles = join(this.folder, 'titles');
    writeFileSync(this.titles, '');
    const note = join(this.folder, 'note');
    // The second argument is the title.
    writeFileSync(note, `#!/bin/sh\nprintf '%s\\n' "$2" >> '${this.titles}'\n`, { mode: 0o755 });
    writeFileSync(join(this.folder, 'dunstrc'), dunstrc(note));
    this.server = start('dunst', ['-conf', join(this.folder, 'dunstrc')], { stdio: 'ignore' });
  }

  async #ask(...args) {
    const { stdout } = await must('dunstctl', 'dunstctl', args);
    return stdout.trim();
  }

  #started() {
    // Asking it something would have the bus start another one, without our settings.
    return must('The notification server', 'gdbus', [
      'wait',
      '--session',
      '--timeout=20',
      'org.freedesktop.Notifications',
    ]);
  }

  /** Titles of all that was ever shown, in order. */
  shown() {
    return readFileSync(this.titles, 'utf8').split('\n').filter(Boolean);
  }

  /** How many lie on the screen now. */
  async count() {
    return Number(await this.#ask('count', 'displayed'));
  }

  /** Waits until the newest of all that was ever shown has this title. */
  see(title) {
    return until(`a notification "${title}"`, () => (this.shown().at(-1) === title ? true : null));
  }

  /** Waits until so many lie on the screen. */
  seeCount(count) {
    return until(`${count} notifications on the screen`, async () => ((await this.count()) === count ? true : null));
  }

  /** Clicks the newest. */
  click() {
    return this.#ask('action', '0');
  }

  close() {
    this.server.kill('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Opens a link as a browser does: the system finds the program that said it opens such links. */
export const openLink = (link, env) => must('Opening the link', 'gio', ['open', link], { env });

/** Whether the system has this program for such links. */
export async function opensLinks(scheme, desktopFile, env) {
  const { stdout } = await must('gio', 'gio', ['mime', `x-scheme-handler/${scheme}`], { env });
  return stdout.split('\n')[0].includes(desktopFile);
}
