// The panel of a desktop (Xfce's, on the test's own session bus) with the icons that programs put beside the clock.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../lib/mesh.mjs';
import { must, run, start } from '../lib/run.mjs';

const WATCHER = ['-d', 'org.kde.StatusNotifierWatcher', '-o', '/StatusNotifierWatcher'];
const MENU = 'com.canonical.dbusmenu';

/** One panel across the top of the screen, with nothing in it but those icons. */
const SETTINGS = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray"/>
  </property>
</channel>
`;

/** Where Debian and others keep the settings daemon, which nobody starts by hand. */
const XFCONFD = '/usr/lib/x86_64-linux-gnu/xfce4/xfconf/xfconfd';

const onBus = (name) => must(name, 'gdbus', ['wait', '--session', '--timeout=20', name]);

async function call(where, method, ...args) {
  const { stdout } = await must(method, 'gdbus', ['call', '--session', ...where, '-m', method, ...args]);
  return stdout;
}

export class Panel {
  static async open() {
    const panel = new Panel();
    panel.#start(XFCONFD);
    await onBus('org.xfce.Xfconf');
    panel.#start('xfce4-panel', '--disable-wm-check');
    await onBus('org.kde.StatusNotifierWatcher');
    return panel;
  }

  #programs = [];

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'myownllm-panel-'));
    const settings = join(this.folder, 'xfce4', 'xfconf', 'xfce-perchannel-xml');
    mkdirSync(settings, { recursive: true });
    writeFileSync(join(settings, 'xfce4-panel.xml'), SETTINGS);
  }

  #start(program, ...args) {
    this.#programs.push(start(program, args, { stdio: 'ignore', env: { XDG_CONFIG_HOME: this.folder } }));
  }

  /** Bus name and path of each icon. */
  async #icons() {
    const listed = await call(
      WATCHER,
      'org.freedesktop.DBus.Properties.Get',
      'org.kde.StatusNotifierWatcher',
      'RegisteredStatusNotifierItems',
    );
    return [...listed.matchAll(/'(:[\d.]+)(\/[^']+)'/g)].map(([, name, path]) => ({ name, path }));
  }

  /** Waits for the one icon there is. */
  async icon() {
    const { name, path } = await until('an icon beside the clock', async () => (await this.#icons())[0] ?? null);
    return new Icon(name, path);
  }

  /** Waits until no icon is left. */
  seeNone() {
    return until('the icon to go', async () => ((await this.#icons()).length === 0 ? true : null));
  }

  close() {
    for (const program of this.#programs.reverse()) program.kill('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An icon, read and clicked over the bus as the panel does it. */
class Icon {
  #menu;

  constructor(name, path) {
    this.#menu = ['-d', name, '-o', `${path}/Menu`];
  }

  /** The items of its menu and of the menus below it that have words. */
  async items() {
    // (number, {'label': <'words'>, 'enabled': <false>}, [items below it])
    const layout = await call(this.#menu, `${MENU}.GetLayout`, '0', '--', '-1', '[]');
    return [...layout.matchAll(/\((\d+), \{([^}]*)\}/g)].flatMap(([, id, properties]) => {
      const label = /'label': <(?:'([^']*)'|"([^"]*)")>/.exec(properties);
      return label ? [{ id, label: label[1] ?? label[2], enabled: !properties.includes("'enabled': <false>") }] : [];
    });
  }

  /** Waits until an item is there and can, or cannot, be picked. */
  see(label, enabled) {
    return until(`"${label}" in the menu, ${enabled ? 'on' : 'off'}`, async () =>
      (await this.items()).some((item) => item.label === label && item.enabled === enabled) ? true : null,
    );
  }

  /** Picks an item, as a click does. */
  async pick(label) {
    await this.see(label, true);
    const { id } = (await this.items()).find((item) => item.label === label);
    // The last item ends the program, which then answers nobody any more.
    await run('gdbus', ['call', '--session', ...this.#menu, '-m', `${MENU}.Event`, id, 'clicked', '<0>', '0']);
  }
}
