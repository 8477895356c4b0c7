// What people do in the window, in the words that the window uses.

import { readFileSync } from 'node:fs';
import { until } from '../lib/mesh.mjs';
import { at } from '../lib/paths.mjs';

/** The words on the screen come from the one catalogue. */
const WORDS = JSON.parse(readFileSync(at('ui', 'src', 'i18n', 'en.json'), 'utf8'));

export const words = (key, values = {}) => WORDS[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** The input that a label names. */
export const field = (label) => `//input[@id=//label[normalize-space(.)='${label}']/@for]`;

export const shot = (name) => at('out', 'shots', `window-${name}.png`);

/** Names this device and founds a network, as on the first start. */
export async function welcome(window) {
  await window.seeText(words('welcome.name'), 60_000);
  await window.type('the name of this device', field(words('general.name')), 'Kitchen');
  await window.shot(shot('1-welcome'));
  await window.press(words('action.continue'));
  await window.click('the way to found a network', `//button[.//*[normalize-space(.)='${words('welcome.found')}']]`);
  await window.type('the name of the network', field(words('create.name')), 'home');
  await window.press(words('create.action'));
  await window.seeText(words('welcome.chat'));
  await window.shot(shot('2-founded'));
  await window.press(words('welcome.skipAll'));
}

/** Makes an invite in the window and returns the link. */
export async function invite(window) {
  await window.press(words('empty.addDevice'));
  const link = await until('the invite', async () => {
    const text = await window.run(`return document.querySelector('[data-testid=invite]')?.innerText ?? null`);
    return text?.trim() || null;
  });
  await window.press(words('action.close'));
  return link;
}
