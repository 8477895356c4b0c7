// The suites of `npm test`, in order: the quick ones first, each with what it needs to be built.

import { checkDependencies } from '../check-dependencies.mjs';
import { checkLayers } from '../check-layers.mjs';
import { checkSecurityTests } from '../check-security-tests.mjs';
import { at, which } from '../lib/paths.mjs';
import { check, part, vitest } from './part.mjs';

const everywhere = () => true;
const linux = () => process.platform === 'linux';
const UI = at('ui');

async function* checks() {
  yield part('rustfmt', ['cargo', 'fmt', '--all', '--check']);
  yield check('dependency direction', checkLayers);
  yield check('a reason for every dependency', checkDependencies);
  yield check('a test for every promise', checkSecurityTests);
  const scripts = ['scripts', 'package.json', '.prettierrc.json'];
  yield part('prettier (scripts)', ['npx', 'prettier', '--check', ...scripts]);
  yield part('prettier (interface)', ['npm', 'run', 'format:check'], { cwd: UI });
  yield part('eslint', ['npm', 'run', 'lint'], { cwd: UI });
  yield part('svelte-check', ['npm', 'run', 'check'], { cwd: UI });
  // Two runs: together with the daemon the shell's features would have iroh compiled a second time.
  yield part('clippy (daemon)', ['cargo', 'clippy', '--all-targets', '--', '-D', 'warnings']);
  yield part('clippy (app)', ['cargo', 'clippy', '-p', 'myownllm', '--all-targets', '--', '-D', 'warnings']);
  if (which('cargo-deny')) yield part('cargo deny', ['cargo', 'deny', 'check', 'bans', 'licenses', 'sources']);
}

async function* scripts() {
  const files = [
    'lib/lib.test.mjs',
    'suites/part.test.mjs',
    'engine/engine.test.mjs',
    'check-security-tests.test.mjs',
  ].map((f) => at('scripts', f));
  yield part('set-up, counting, the engine', ['node', '--test', '--test-reporter=tap', ...files], { count: 'node' });
}

async function* rust({ env }) {
  const nextest = Boolean(which('cargo-nextest'));
  const count = nextest ? 'nextest' : 'cargo';
  const test = nextest ? ['cargo', 'nextest', 'run', '--no-fail-fast'] : ['cargo', 'test', '--no-fail-fast'];
  yield part('daemon, mesh, compute, control', test, { count, env });
  yield part('app, and the bindings fit the code', [...test, '-p', 'myownllm', '--lib'], { count, env });
}

async function* ui() {
  yield vitest('interface', [], { cwd: UI });
}

async function* demo({ env }) {
  yield part('knock, approve and ask, in the terminal', ['node', at('scripts', 'demo.mjs')], { env });
}

async function* browser({ env }) {
  yield vitest('interface in Chromium against real daemons', ['--config', 'e2e/vitest.config.ts'], { cwd: UI, env });
}

async function* clients({ env }) {
  const test = ['node', '--test', '--test-reporter=tap', at('scripts', 'e2e', 'clients.test.mjs')];
  yield part('the official clients of three APIs, here and through a peer', test, { count: 'node', env });
}

async function* window({ env }) {
  const screen = ['xvfb-run', '-a', '-s', '-screen 0 1280x800x24 -nolisten tcp', 'dbus-run-session', '--'];
  const test = (file) => [...screen, 'node', '--test', '--test-reporter=tap', at('scripts', 'e2e', file)];
  yield part('the real window', test('window.test.mjs'), { count: 'node', env });
  yield part('notifications and links on a desktop', test('desktop.test.mjs'), { count: 'node', env });
  yield part('the icon beside the clock', test('tray.test.mjs'), { count: 'node', env });
}

/**
 * `needs` is what `prepareFor` (lib/setup.mjs) builds or installs before the first suite; `here` says whether the suite
 * can run on this system at all.
 */
export const SUITES = [
  {
    name: 'check',
    about: 'formatting, lints, layers, types',
    needs: ['npm', 'ui', 'build-packages'],
    here: everywhere,
    run: checks,
  },
  { name: 'scripts', about: 'the npm commands themselves', needs: [], here: everywhere, run: scripts },
  {
    name: 'rust',
    about: 'unit, property and process tests',
    needs: ['engine', 'daemon', 'build-packages', 'test-packages'],
    here: everywhere,
    run: rust,
  },
  { name: 'ui', about: 'components and state', needs: ['npm'], here: everywhere, run: ui },
  { name: 'demo', about: 'two devices, one story', needs: ['engine', 'daemon'], here: everywhere, run: demo },
  {
    name: 'browser',
    about: 'Chromium against a real daemon',
    needs: ['npm', 'ui', 'engine', 'daemon', 'test-packages'],
    here: linux,
    run: browser,
  },
  {
    name: 'clients',
    about: 'the clients of OpenAI, Anthropic and Ollama',
    needs: ['npm', 'engine', 'daemon', 'test-packages'],
    here: linux,
    run: clients,
  },
  { name: 'window', about: 'WebDriver in Xvfb', needs: ['app', 'test-packages'], here: linux, run: window },
];
