// The real window on a desktop with a notification server: knocks that are announced while the person looks elsewhere,
// and links that open the app. Runs inside xvfb-run and dbus-run-session.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Device, until } from '../lib/mesh.mjs';
import { App } from './app.mjs';
import { Notifications, openLink, opensLinks } from './desktop.mjs';
import { invite, shot, welcome, words } from './steps.mjs';

const removed = [];

/** Removed at the end of the tests. */
function own(thing) {
  removed.push(thing);
  return thing;
}

let notifications;

before(async () => {
  notifications = await Notifications.open();
});

after(async () => {
  for (const thing of removed) await thing.remove();
  notifications?.close();
});

const cardOf = (device) => words('knock.title', { device, network: 'home' });
const titleOf = (device) => `${device} wants to join home`;

/** Waits until the window is on the screen and has the keyboard. */
const seeInFront = (window) =>
  until('the window in front', async () => ((await window.run('return document.hasFocus()')) ? true : null));

/** Waits until the join screen holds the link. */
const seeLink = (window, link) =>
  until('the link on the join screen', async () => {
    const typed = await window.run(
      `return [...document.querySelectorAll('input, textarea')].map((field) => field.value)`,
    );
    return typed.includes(link) ? true : null;
  });

test('a knock while the window is minimized raises a notification; a click on it opens the card', async () => {
  const app = own(new App());
  const desk = own(new Device('Desk'));
  const [window] = await Promise.all([app.open(), desk.serve()]);
  await welcome(window);
  const link = await invite(window);
  await window.minimize();
  const joining = desk.follow(['join', link, '--wait', '120']);

  await notifications.see(titleOf('Desk'));
  assert.equal(await notifications.count(), 1);
  assert.equal(await window.run('return document.visibilityState'), 'hidden');
  await notifications.click();
  await seeInFront(window);
  await window.seeText(cardOf('Desk'));
  await window.shot(shot('8-from-notification'));

  await window.press(words('knock.match'));
  assert.equal((await joining.done).at(-1).event, 'joined');
});

test('the card that was put aside is opened by the click', async () => {
  const [app] = removed;
  const { window } = app;
  const phone = own(new Device('Phone'));
  await phone.serve();
  const { invite: link } = await app.device.cli('invite');
  await window.minimize();
  phone.follow(['join', link, '--wait', '120']);
  await notifications.see(titleOf('Phone'));
  assert.equal((await app.startAgain()).code, 0, 'a second start shows the first window, and ends');
  await seeInFront(window);
  await window.seeText(cardOf('Phone'));
  await window.pressEscape();
  await window.seeGone(cardOf('Phone'));
  await notifications.click();
  await window.seeText(cardOf('Phone'));
});

test('a knock that ends takes its notification with it', async () => {
  const [app] = removed;
  const tablet = own(new Device('Tablet'));
  await tablet.serve();
  const { invite: link } = await app.device.cli('invite');
  await app.window.minimize();
  const joining = tablet.follow(['join', link, '--wait', '120']);
  await notifications.see(titleOf('Tablet'));
  const before = await notifications.count();
  joining.child.kill('SIGINT');
  await notifications.seeCount(before - 1);
});

test('a knock that another member answers takes its notification with it', async () => {
  const [app, desk] = removed;
  const attic = own(new Device('Attic'));
  await attic.serve();
  const { invite: link } = await app.device.cli('invite');
  const joining = attic.follow(['join', link, '--wait', '120']);
  await notifications.see(titleOf('Attic'));
  const before = await notifications.count();
  const passed = async () => (await desk.cli('knocks')).find((knock) => knock.device_name === 'Attic') ?? null;
  await desk.cli('approve', (await until('the knock on the other member', passed)).id);
  await notifications.seeCount(before - 1);
  await joining.done;
});

test('a knock while the person looks at the window raises no notification', async () => {
  const app = own(new App());
  const laptop = own(new Device('Laptop'));
  const [window] = await Promise.all([app.open(), laptop.serve()]);
  await welcome(window);
  await seeInFront(window);
  laptop.follow(['join', await invite(window), '--wait', '120']);
  await window.seeText(cardOf('Laptop'), 30_000);
  assert.ok(!notifications.shown().includes(titleOf('Laptop')));
});

test('a link starts the app on the join screen, and one that comes later is handed to the window that runs', async () => {
  const home = own(new Device('Home'));
  await home.serve();
  await home.cli('network', 'create', 'cottage');
  const first = (await home.cli('invite')).invite;
  const second = (await home.cli('invite')).invite;

  const app = own(new App());
  const window = await app.open({}, [first]);
  await seeLink(window, first);
  await window.shot(shot('9-link'));

  // As a browser does it: the app told the system that it opens such links, and the system starts it once more.
  await until('the system to know who opens links', async () =>
    (await opensLinks('myownllm', 'myownllm-handler.desktop', app.env)) ? true : null,
  );
  await window.minimize();
  await openLink(second, app.env);
  await seeLink(window, second);
  await seeInFront(window);

  const again = await app.startAgain('myownllm://join/not an invite');
  assert.equal(again.code, 0, 'the second start ends at once');
  await app.startAgain('https://example.org/');
  await seeLink(window, second);

  await window.press(words('join.action'));
  const knock = await until('the knock', async () => (await home.cli('knocks'))[0] ?? null);
  await home.cli('approve', knock.id);
  await until('the membership', async () => ((await app.device.cli('status')).network === 'cottage' ? true : null));
});
