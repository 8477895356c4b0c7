// The icon beside the clock, in a real panel: how lending stands, pausing it in three ways, the window, the end. Runs
// inside xvfb-run and dbus-run-session.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../lib/mesh.mjs';
import { App } from './app.mjs';
import { Panel } from './panel.mjs';
import { welcome } from './steps.mjs';

/** An hour, in milliseconds. */
const HOUR = 3_600_000;

const app = new App();
let panel;
let icon;

before(async () => {
  panel = await Panel.open();
  await welcome(await app.open());
  icon = await panel.icon();
});

after(async () => {
  await app.remove();
  panel?.close();
});

/** Waits until the daemon says this of the pause. */
const seePause = (what, fits) =>
  until(what, async () => {
    const { pause } = await app.device.cli('lend', 'show');
    return fits(pause) ? { pause } : null;
  });

async function lendAgain() {
  await icon.see('Lending is paused', false);
  await icon.pick('Lend again');
  await seePause('lending again', (pause) => pause === null);
  await icon.see('Lending', false);
}

test('it says how lending stands, and pauses it for an hour, after the current answer, or at once', async () => {
  await icon.see('Lending', false);
  await icon.see('Pause lending', true);
  await icon.see('Lend again', false);

  const asked = Date.now();
  await icon.pick('For an hour');
  const { pause } = await seePause('a pause with an end', (it) => Boolean(it?.until));
  assert.ok(pause.until >= asked + HOUR && pause.until <= Date.now() + HOUR, `until ${pause.until}, asked ${asked}`);
  assert.equal(pause.at_once, false);
  await icon.see('Pause lending', false);
  await lendAgain();

  await icon.pick('After the current answer');
  await seePause('a pause that lets answers end', (it) => it?.until === null && it.at_once === false);
  await lendAgain();

  await icon.pick('Now, ending answers');
  await seePause('a pause at once', (it) => it?.until === null && it.at_once === true);
  await lendAgain();
});

test('it follows what is said elsewhere', async () => {
  await app.device.cli('lend', 'pause');
  await icon.see('Lending is paused', false);
  await app.device.cli('lend', 'resume');
  await icon.see('Lending', false);
});

test('it brings the window back, and ends the app', async () => {
  await app.window.minimize();
  await icon.pick('Open MyOwnLLM');
  await until('the window in front', async () => ((await app.window.run('return document.hasFocus()')) ? true : null));
  await icon.pick('Quit');
  await panel.seeNone();
});
