// Builds llama-server from the pinned source package: fetch, check, extract, compile, strip, try, move into place.

import { createHash } from 'node:crypto';
import {
  createReadStream,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isAlive, takeLock } from './lock.mjs';
import { BINARY, EngineError, PIN, cachedFolder, engineRoot, isExecutable, onPath, smokeTest } from './paths.mjs';
import { onSignal } from '../lib/run.mjs';
import { run } from './run.mjs';
import { builtBinary, ensureTools } from './tools.mjs';

// Portable: no -march=native, so that a cache on a shared disk works on every machine of the last ten years.
// No TLS, no web page, no tests: the daemon talks to it over loopback only.
const FLAGS = [
  'CMAKE_BUILD_TYPE=Release',
  'BUILD_SHARED_LIBS=OFF',
  'GGML_NATIVE=OFF',
  'GGML_OPENMP=OFF',
  ...(process.arch === 'x64' ? ['GGML_AVX=ON', 'GGML_AVX2=ON', 'GGML_FMA=ON', 'GGML_F16C=ON', 'GGML_BMI2=ON'] : []),
  'LLAMA_OPENSSL=OFF',
  'LLAMA_BUILD_UI=OFF',
  'LLAMA_USE_PREBUILT_UI=OFF',
  'LLAMA_BUILD_TESTS=OFF',
  'LLAMA_BUILD_EXAMPLES=OFF',
  'LLAMA_BUILD_APP=OFF',
  'LLAMA_BUILD_NUMBER=0',
];

async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Refuses a source package that is not byte for byte the pinned one. */
export async function checkHash(path, expected = PIN.sha256) {
  const found = await sha256(path);
  if (found !== expected) {
    throw new EngineError(
      `${path} is not the pinned source package (SHA-256 ${found}, expected ${expected}). ` +
        'Nothing of it was built. Try again; if it stays so, do not trust the package index in use.',
    );
  }
}

async function fetchSource(tools, folder) {
  // With a hash in the requirement pip itself refuses anything else before it looks inside.
  const wanted = join(folder, 'requirements.txt');
  writeFileSync(wanted, `${PIN.package}==${PIN.version} --hash=sha256:${PIN.sha256}\n`);
  await run(
    tools.python,
    [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--no-binary',
      PIN.package,
      '--require-hashes',
      '--disable-pip-version-check',
      '-r',
      wanted,
      '-d',
      folder,
    ],
    { what: 'Fetching the source package', hint: 'Check the network connection and run `npm run engine` again.' },
  );
  const archive = join(folder, `${PIN.package}-${PIN.version}.tar.gz`);
  if (!existsSync(archive)) throw new EngineError(`pip left no ${archive}: it holds ${readdirSync(folder).join(', ')}`);
  await checkHash(archive);
  return archive;
}

async function extract(archive, folder) {
  const tree = `${PIN.package}-${PIN.version}/vendor/llama.cpp`;
  await run('tar', ['-xzf', archive, '-C', folder, tree], { what: 'Unpacking the source package' });
  return join(folder, tree);
}

async function compile(tools, source, build, say) {
  const ninja = typeof tools.ninja === 'string' ? ['-G', 'Ninja', `-DCMAKE_MAKE_PROGRAM=${tools.ninja}`] : [];
  await run(tools.cmake, ['-S', source, '-B', build, ...ninja, ...FLAGS.map((flag) => `-D${flag}`)], {
    what: 'Configuring llama.cpp',
    hint: 'A C++17 compiler and cmake 3.14 or newer are needed.',
  });
  let told = Date.now();
  const onLine = (line) => {
    const step = /^\[(\d+)\/(\d+)\]/.exec(line);
    if (!step || Date.now() - told < 15_000) return;
    told = Date.now();
    say(`  ${step[1]} of ${step[2]} files`);
  };
  const jobs = String(availableParallelism());
  await run(tools.cmake, ['--build', build, '--config', 'Release', '--target', 'llama-server', '-j', jobs], {
    what: 'Compiling llama.cpp',
    hint: 'If the compiler was killed, the machine ran out of memory: close something and run `npm run engine` again.',
    onLine,
  });
  return builtBinary(build, BINARY);
}

async function strip(binary) {
  if (process.platform === 'win32' || !onPath('strip')) return;
  await run('strip', process.platform === 'darwin' ? ['-x', binary] : [binary], { what: 'Stripping llama-server' });
}

/** Work folders whose owner died; only called with the lock held. */
function sweep(root) {
  for (const name of readdirSync(root)) {
    const pid = /^tmp-(\d+)-/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function moveIntoPlace(ready, target) {
  try {
    renameSync(ready, target);
  } catch (error) {
    if (isExecutable(join(target, BINARY))) return; // another caller was first with the same build
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code)) throw error;
    rmSync(target, { recursive: true, force: true }); // half a folder, from a clean-up perhaps
    renameSync(ready, target);
  }
}

async function buildIn(work, say) {
  const timed = async (step, title, job) => {
    say(`[${step}/5] ${title}`);
    const start = Date.now();
    const result = await job();
    say(`[${step}/5] done in ${Math.round((Date.now() - start) / 1000)} s`);
    return result;
  };
  const tools = await timed(1, 'looking for cmake, ninja, a C++ compiler and Python', () => ensureTools(work, say));
  const archive = await timed(2, `fetching ${PIN.package} ${PIN.version} (77 MB) and checking its SHA-256`, () =>
    fetchSource(tools, work),
  );
  const source = await timed(3, 'unpacking llama.cpp', () => extract(archive, work));
  const built = await timed(
    4,
    `compiling llama-server with ${availableParallelism()} jobs (about 11 CPU minutes)`,
    () => compile(tools, source, join(work, 'build'), say),
  );
  const ready = join(work, 'ready');
  await timed(5, 'stripping and trying it', async () => {
    await strip(built);
    mkdirSync(ready);
    cpSync(built, join(ready, BINARY));
    cpSync(join(source, 'LICENSE'), join(ready, 'LICENSE'));
    say(`  ${await smokeTest(join(ready, BINARY))}`);
  });
  return ready;
}

/**
 * Builds the pinned llama-server into the cache, once: a second caller waits for the first.
 * @param {(line: string) => void} say
 * @returns {Promise<string>} the path of the binary
 */
export async function buildEngine(say) {
  const root = engineRoot();
  const target = cachedFolder();
  const binary = join(target, BINARY);
  const done = () => isExecutable(binary);
  const release = await takeLock(join(root, 'build.lock'), {
    onWait: (pid) => say(`another process (${pid}) is building the engine: waiting for it`),
    until: done,
  });
  if (!release) return binary;
  const forget = onSignal(release);
  try {
    if (done()) return binary;
    sweep(root);
    const work = mkdtempSync(join(root, `tmp-${process.pid}-`));
    const drop = () => rmSync(work, { recursive: true, force: true, maxRetries: 3 });
    const forgetWork = onSignal(drop);
    try {
      moveIntoPlace(await buildIn(work, say), target);
    } finally {
      drop();
      forgetWork();
    }
    say(`ready: ${binary} (${(statSync(binary).size / 1e6).toFixed(1)} MB)`);
    return binary;
  } finally {
    release();
    forget();
  }
}
