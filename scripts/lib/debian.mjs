// Debian packages: which are missing, and installing them where that is allowed.

import { existsSync } from 'node:fs';
import { Refusal, say, step } from './log.mjs';
import { which } from './paths.mjs';
import { must, run } from './run.mjs';

/** To compile the daemon. */
export const COMPILER = ['build-essential', 'pkg-config'];

/** To compile the app. */
export const TO_BUILD = [
  'libwebkit2gtk-4.1-dev',
  'libgtk-3-dev',
  'librsvg2-dev',
  'libayatana-appindicator3-dev',
  'libssl-dev',
  'libxdo-dev',
  'curl',
  'file',
  ...COMPILER,
];

/** To test devices in network namespaces, the real window on a desktop of its own, the interface in a browser, the keychain, and the official OpenAI client for Python. */
export const TO_TEST = [
  'xvfb',
  'xauth',
  'webkit2gtk-driver',
  'dbus-x11',
  'dbus',
  'dunst',
  'xfce4-panel',
  'libglib2.0-bin',
  'xdg-utils',
  'gnome-keyring',
  'libsecret-tools',
  'x11-utils',
  'iproute2',
  'fonts-dejavu-core',
  'chromium',
  'python3-venv',
];

async function missing(packages) {
  const { stdout } = await run('dpkg-query', ['-W', '-f=${Package} ${db:Status-Status}\n', ...packages]);
  const installed = new Set(
    stdout
      .split('\n')
      .filter((l) => l.endsWith(' installed'))
      .map((l) => l.split(' ')[0]),
  );
  return packages.filter((name) => !installed.has(name));
}

/** The words before a command that needs root; null where that cannot be had without a question. */
async function asRoot() {
  if (process.getuid() === 0) return [];
  const sudo = which('sudo') && (await run('sudo', ['-n', 'true'])).code === 0;
  return sudo ? ['sudo', '-n'] : null;
}

/** Makes sure that Debian packages are there. On other systems it leaves that to the person and the compiler. */
export async function ensureDebian(packages) {
  if (process.platform !== 'linux' || !existsSync('/etc/debian_version') || !which('dpkg-query')) return;
  const wanted = await missing(packages);
  if (wanted.length === 0) return;
  const root = await asRoot();
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...wanted];
  if (!root) {
    throw new Refusal(`These packages are missing. Install them, then try again:\n  sudo ${install.join(' ')}`);
  }
  await step(`Installing Debian packages: ${wanted.join(' ')}`, async () => {
    const apt = async (command) => {
      const [program, ...args] = [...root, 'env', 'DEBIAN_FRONTEND=noninteractive', ...command];
      await must(`apt-get ${command[1]}`, program, args);
    };
    await apt(['apt-get', 'update']);
    await apt(install);
  });
  const left = await missing(wanted);
  if (left.length > 0) say(`Still missing: ${left.join(' ')}. Going on; what needs them will say so.`);
}
