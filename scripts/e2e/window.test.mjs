// The real window against the real daemon, through WebDriver: the whole story of the first issue, and what the window does
// when its daemon dies, is there already, or cannot be started. Runs inside xvfb-run and dbus-run-session.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Device, until } from '../lib/mesh.mjs';
import { at } from '../lib/paths.mjs';
import { App } from './app.mjs';
import { serveOtherVersion } from './other-version.mjs';
import { invite, shot, welcome, words } from './steps.mjs';
import { lives } from './webdriver.mjs';

const apps = [];
const devices = [];

function newApp() {
  const app = new App();
  apps.push(app);
  return app;
}

after(async () => {
  for (const app of apps) await app.remove();
  for (const device of devices) await device.remove();
});

/** Asks in the window on the route `name`; returns how many different lengths the growing answer had. */
async function ask(window, name, question) {
  await window.click('the route picker', `//*[@data-testid='route']`);
  await window.click(`the route ${name}`, `//*[@role='menuitem'][.//*[normalize-space(.)='${name}']]`);
  await window.run(`
    const seen = (window.__lengths = new Set());
    const log = () => document.querySelector('[role=log]')?.innerText.length ?? 0;
    new MutationObserver(() => seen.add(log())).observe(document.body, { subtree: true, childList: true, characterData: true });
  `);
  await window.type('the message', `//textarea[@aria-label='${words('composer.label')}']`, question, { enter: true });
  await window.see('the answer', `//*[@data-testid='meta'][contains(., '${name}')]`, 60_000);
  return window.run('return window.__lengths.size');
}

test('found a network, see a knock, read the same code, approve, and chat on the other device', async () => {
  const app = newApp();
  const desk = new Device('Desk');
  devices.push(desk);
  const [window] = await Promise.all([app.open(), desk.serve()]);
  await welcome(window);
  const joining = desk.follow(['join', await invite(window), '--wait', '120']);

  await window.seeText(words('knock.title', { device: 'Desk', network: 'home' }), 30_000);
  const shown = await window.run(`return document.querySelector('[data-testid=code]').innerText`);
  const told = joining.lines.find((line) => line.event === 'knocking')?.code;
  assert.equal(shown.replace(/\s/g, ''), told, 'both sides show the same code');
  await window.shot(shot('3-knock'));
  await window.press(words('knock.match'));
  const lines = await joining.done;
  assert.equal(lines.at(-1).event, 'joined');

  const members = await app.device.cli('devices');
  assert.deepEqual(members.map((member) => member.name).sort(), ['Desk', 'Kitchen']);

  const lengths = await ask(window, 'Desk', words('starter.demo1'));
  assert.ok(lengths > 3, `the answer grew in ${lengths} steps, so it was not streamed`);
  await window.shot(shot('4-chat'));
});

test('what happened is kept as a file among the downloads', async () => {
  const [app] = apps;
  const { network_id: network } = await app.device.cli('status');
  await app.window.run(`location.hash = '#/settings/networks/${network}/activity'`);
  await app.window.press(words('activity.export'));
  await app.window.press(words('activity.asJson'));
  const path = app.downloaded('home-activity.json');
  await app.window.seeText(words('activity.saved', { path }));
  const entries = JSON.parse(readFileSync(path, 'utf8'));
  assert.ok(
    entries.some((entry) => entry.kind === 'member' && entry.device_name === 'Desk'),
    JSON.stringify(entries),
  );
  await app.window.shot(shot('4-activity'));
  await app.window.run('history.back()');
});

test('a prompt and a looser rule of the other device come into the window by themselves', async () => {
  const [app] = apps;
  const [desk] = devices;
  const { window } = app;
  const before = await window.run('return location.hash');
  await window.run(`location.hash = '#/settings/prompts'`);
  await window.seeText(words('prompts.new'));
  await desk.cli('prompt', 'set', 'letter', '--label', 'Letter to an office', '--body', 'Write to {{office}}, kindly.');
  await window.seeText('Letter to an office');
  await window.run(`location.hash = '#/settings/prompts/letter'`);
  await until('the text in the editor', () =>
    window.run(`return document.querySelector('textarea')?.value.includes('{{office}}') || null`),
  );
  await window.shot(shot('4-prompt'));
  await window.run(`location.hash = '#/settings/permissions'`);
  await window.seeText(words('permissions.tools'));
  await desk.cli('permission', 'set', 'read_file', 'allow');
  await window.seeText(words('proposal.title'));
  await window.shot(shot('4-permissions'));
  await window.press(words('proposal.acceptAllow'));
  await until('the rule that was accepted', async () => {
    const { rule } = await app.device.cli('permission', 'explain', 'read_file');
    return rule === 'allow' ? rule : null;
  });
  await window.run(`location.hash = '${before}'`);
});

test('a daemon that dies is started again, and the window goes on', async () => {
  const [app] = apps;
  const before = await app.daemon();
  process.kill(before, 'SIGKILL');
  const next = await app.daemon(before);
  assert.ok(lives(next));
  await until('the network in the new daemon', async () => {
    const status = await app.device.cli('status').catch(() => null);
    return status?.network === 'home' ? status : null;
  });
  const lost = `document.querySelector('[data-testid=lost]')`;
  await until('the window to be attached again', () => app.window.run(`return ${lost} ? null : true`));
  assert.match(await app.window.text(), /Desk/, 'the conversation is still on the screen');
  await app.window.shot(shot('5-again'));
});

test('the end of the app is the end of the daemon that it started', async () => {
  const [app] = apps;
  const pid = await app.daemon();
  const started = performance.now();
  await app.close();
  assert.equal(lives(pid), false, 'the daemon ended before the app');
  assert.ok(performance.now() - started < 4000, 'an ordered end takes less than 4 s');
});

test('a daemon that runs already is used, and left running', async () => {
  const app = newApp();
  await app.device.serve();
  const window = await app.open();
  await window.seeText(words('welcome.name'), 60_000);
  await app.close();
  assert.equal((await app.device.cli('status')).device_id, app.device.ready.device_id);
});

test('a daemon that cannot be started is explained', async () => {
  const app = newApp();
  const window = await app.open({ MYOWNLLM_MESH_BIN: '/nonexistent/myownmesh' });
  await window.seeText(words('failed.title'), 60_000);
  assert.match(await window.text(), /MYOWNLLM_MESH_BIN names \/nonexistent\/myownmesh/);
  await window.shot(shot('6-failed'));
});

test('a daemon of another version is shown with both versions, and a restart replaces it', async () => {
  const app = newApp();
  const other = await serveOtherVersion(app.device.home, '0.0.9', 0);
  try {
    const window = await app.open();
    await window.seeText(words('mismatch.title'), 60_000);
    const expected = readFileSync(at('.myownmesh-rev'), 'utf8').split(' ')[0];
    const text = await window.text();
    assert.ok(text.includes('0.0.9') && text.includes(expected), text);
    await window.shot(shot('7-mismatch'));
    await window.press(words('mismatch.restart'));
    await window.seeText(words('welcome.name'), 60_000);
    assert.equal((await app.device.cli('status')).version, expected);
  } finally {
    other.end();
  }
});
