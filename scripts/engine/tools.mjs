// Finds what the build needs (Python with pip, cmake, ninja, a C++ compiler) and installs what it may:
// Debian packages as root or with a sudo that asks nothing, otherwise cmake and ninja in a throw-away Python environment.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, onPath } from './paths.mjs';
import { run, works } from './run.mjs';

const WINDOWS = process.platform === 'win32';
const DEBIAN = ['cmake', 'ninja-build', 'g++', 'python3-pip', 'python3-venv'];

async function findPython() {
  for (const name of WINDOWS ? ['python', 'py'] : ['python3', 'python']) {
    if (onPath(name) && (await works(name, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']))) return name;
  }
  return null;
}

const findCompiler = () => process.env.CXX || ['c++', 'g++', 'clang++'].map(onPath).find(Boolean) || null;

async function survey() {
  const python = await findPython();
  return {
    python,
    pip: Boolean(python) && (await works(python, ['-m', 'pip', '--version'])),
    cmake: onPath('cmake'),
    ninja: WINDOWS || onPath('ninja'),
    // On Windows cmake itself finds Visual Studio, or says that there is none.
    compiler: WINDOWS || findCompiler(),
  };
}

const missing = (have) => Object.keys(have).filter((name) => !have[name]);

async function installDebian(say) {
  if (!onPath('apt-get')) return;
  let prefix = [];
  if (process.getuid?.() !== 0) {
    if (!onPath('sudo') || !(await works('sudo', ['-n', 'true']))) return;
    prefix = ['sudo', '-n'];
  }
  say(`installing Debian packages: ${DEBIAN.join(' ')}`);
  const apt = (...args) => {
    const [program, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return run(program, rest, { what: `apt-get ${args[0]}` });
  };
  await apt('update');
  await apt('install', '-y', '--no-install-recommends', ...DEBIAN);
}

/** cmake, ninja and pip in a Python environment inside the build folder: needs no rights at all. */
async function installVenv(python, folder, say) {
  say('installing cmake and ninja for this build only (Python environment)');
  const venv = join(folder, 'venv');
  await run(python, ['-m', 'venv', venv], {
    what: 'Making a Python environment',
    hint: 'On Debian: sudo apt-get install python3-venv',
  });
  const bin = join(venv, WINDOWS ? 'Scripts' : 'bin');
  const inside = join(bin, WINDOWS ? 'python.exe' : 'python');
  await run(inside, ['-m', 'pip', 'install', '--quiet', 'cmake<5', 'ninja'], {
    what: 'Installing cmake and ninja',
    hint: 'Check the network connection, or install cmake and ninja yourself.',
  });
  const exe = (name) => join(bin, WINDOWS ? `${name}.exe` : name);
  return { python: inside, pip: true, cmake: exe('cmake'), ninja: exe('ninja') };
}

function refuse(have) {
  const lacks = missing(have).map((name) => (name === 'compiler' ? 'a C++ compiler' : name));
  const how =
    process.platform === 'linux'
      ? `On Debian or Ubuntu: sudo apt-get install ${DEBIAN.join(' ')}`
      : process.platform === 'darwin'
        ? 'On macOS: xcode-select --install'
        : 'On Windows: install Visual Studio Build Tools (C++), CMake and Python from their sites';
  throw new EngineError(
    `Building the engine needs ${lacks.join(', ')}. ${how}. Or set MYOWNLLM_LLAMA_SERVER to a llama-server you have.`,
  );
}

/**
 * @param {string} folder the build folder, for a Python environment when one is needed
 * @param {(line: string) => void} say
 * @returns {Promise<{python: string, cmake: string, ninja: string | true}>}
 */
export async function ensureTools(folder, say) {
  let have = await survey();
  if (missing(have).length > 0) {
    await installDebian(say);
    have = await survey();
  }
  if (missing(have).length === 0) return have;
  if (!have.python || !have.compiler) refuse(have);
  return { ...have, ...(await installVenv(have.python, folder, say)) };
}

/** The built binary inside a cmake build folder, whichever generator made it. */
export function builtBinary(build, name) {
  for (const folder of ['bin', join('bin', 'Release')]) {
    const path = join(build, folder, name);
    if (existsSync(path)) return path;
  }
  throw new EngineError(`The build made no ${name} in ${build}: ${readdirSync(build).join(', ')}`);
}
