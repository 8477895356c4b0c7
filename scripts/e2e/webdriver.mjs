// The few WebDriver calls that the window test needs, spoken plainly to WebKitWebDriver.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { until } from '../lib/mesh.mjs';
import { start } from '../lib/run.mjs';

/** How WebDriver names an element in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

const ENTER = '\uE007';
const ESCAPE = '\uE00C';

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** An XPath literal; XPath 1.0 has no escapes. */
const literal = (text) => (text.includes("'") ? `concat('${text.split("'").join(`', "'", '`)}')` : `'${text}'`);

/** Whether a process is there; one that has ended and waits for its parent to notice is not. */
export function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A window under WebDriver. */
export class Window {
  /** Starts WebKitWebDriver, and through it the app with `args`. */
  static async open(app, env, args = []) {
    const port = await freePort();
    const driver = start('WebKitWebDriver', [`--port=${port}`, '--host=127.0.0.1'], {
      stdio: 'inherit',
      env: { ...env, TAURI_WEBVIEW_AUTOMATION: 'true' },
    });
    const window = new Window(driver, `http://127.0.0.1:${port}`);
    await until('WebKitWebDriver', () =>
      fetch(`${window.base}/status`).then(
        () => true,
        () => null,
      ),
    );
    const capabilities = { alwaysMatch: { 'webkitgtk:browserOptions': { binary: app, args } } };
    const { sessionId } = await window.call('POST', '/session', { capabilities });
    window.session = `/session/${sessionId}`;
    return window;
  }

  constructor(driver, base) {
    this.driver = driver;
    this.base = base;
  }

  async call(method, path, body) {
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
      signal: AbortSignal.timeout(30_000),
    });
    const { value } = await response.json();
    if (response.ok) return value;
    const error = new Error(`${value?.error ?? response.status}: ${value?.message ?? path}`);
    error.kind = value?.error;
    throw error;
  }

  async find(xpath) {
    try {
      const found = await this.call('POST', `${this.session}/element`, { using: 'xpath', value: xpath });
      return found[ELEMENT];
    } catch (error) {
      if (error.kind === 'no such element' || error.kind === 'stale element reference') return null;
      throw error;
    }
  }

  /** Waits for an element; on failure the error says what the window showed instead. */
  async see(what, xpath, within = 20_000) {
    try {
      return await until(what, () => this.find(xpath), { within });
    } catch {
      throw new Error(`${what} never appeared (${xpath}). The window shows:\n${await this.text()}`);
    }
  }

  /** Waits for text anywhere in the window. */
  seeText(text, within) {
    return this.see(`"${text}"`, `//body//*[contains(normalize-space(.), ${literal(text)})]`, within);
  }

  /** A control by the words on it or the name that a screen reader says. */
  control(name, kind = '*[self::button or self::a or @role]') {
    const words = literal(name);
    return `//${kind}[normalize-space(.)=${words} or @aria-label=${words} or @title=${words}]`;
  }

  /** Does `act` to what `xpath` finds; again while the page draws it anew or something still covers it. */
  #act(what, xpath, act, within) {
    const passing = /stale element|intercepted|not interactable/;
    return until(what, async () => {
      const element = await this.see(what, xpath, within);
      try {
        await act(`${this.session}/element/${element}`);
        return true;
      } catch (error) {
        if (passing.test(error.kind ?? '')) return null;
        throw error;
      }
    });
  }

  click(what, xpath, within) {
    return this.#act(what, xpath, (element) => this.call('POST', `${element}/click`), within);
  }

  /** Waits until a text that was there is gone. */
  seeGone(text) {
    const xpath = `//body//*[contains(normalize-space(.), ${literal(text)})]`;
    return until(`the end of "${text}"`, async () => ((await this.find(xpath)) === null ? true : null));
  }

  /** Presses the Escape key. */
  async pressEscape() {
    const key = (type) => ({ type, value: ESCAPE });
    const actions = [{ type: 'key', id: 'keyboard', actions: [key('keyDown'), key('keyUp')] }];
    await this.call('POST', `${this.session}/actions`, { actions });
  }

  /** Takes the window off the screen, as its button does. */
  async minimize() {
    await this.call('POST', `${this.session}/window/minimize`);
    await until('the window off the screen', async () =>
      (await this.run('return document.hasFocus()')) ? null : true,
    );
  }

  press(name, within) {
    return this.click(`"${name}"`, this.control(name), within);
  }

  /** Types into what `xpath` finds; `enter` ends it with the key. */
  type(what, xpath, text, { enter = false } = {}) {
    return this.#act(what, xpath, async (element) => {
      await this.call('POST', `${element}/clear`);
      await this.call('POST', `${element}/value`, { text: enter ? `${text}${ENTER}` : text });
    });
  }

  run(script, ...args) {
    return this.call('POST', `${this.session}/execute/sync`, { script, args });
  }

  text() {
    return this.run('return document.body.innerText');
  }

  async shot(path) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.from(await this.call('GET', `${this.session}/screenshot`), 'base64'));
  }

  /** Process id of the app: what WebKitWebDriver started. */
  pid() {
    const children = readFileSync(`/proc/${this.driver.pid}/task/${this.driver.pid}/children`, 'utf8');
    return Number(children.trim().split(' ')[0]);
  }

  /** Ends the app in order, as a log-out does, and WebKitWebDriver with it. WebDriver's own ways just kill it. */
  async close() {
    const pid = this.pid();
    if (pid > 0) {
      process.kill(pid, 'SIGTERM');
      await until('the end of the app', () => (lives(pid) ? null : true), { within: 10_000 });
    }
    this.driver.kill('SIGTERM');
  }
}
