// The official clients for Python, in an environment of their own in this user's cache.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WINDOWS, cacheDir, which } from '../lib/paths.mjs';
import { must } from '../lib/run.mjs';

/** Client by client: the package and its version. */
export const CLIENTS = { openai: '3.52.0', anthropic: '2.14.0', ollama: '0.6.3' };

/** @returns {Promise<string>} a Python that can import each of [`CLIENTS`] */
export async function pythonWithClients() {
  const packages = Object.entries(CLIENTS).map(([name, version]) => `${name}==${version}`);
  const folder = join(cacheDir(), `clients-python-${Object.values(CLIENTS).join('-')}`);
  const python = WINDOWS ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  // Debian's own first: an environment made by another Python breaks when that one goes.
  const base = ['/usr/bin/python3', which('python3'), which('python')].find((path) => path && existsSync(path));
  await must('Making a Python environment', base ?? 'python3', ['-m', 'venv', '--clear', folder]);
  await must('Installing the official clients', python, ['-m', 'pip', 'install', '--quiet', ...packages]);
  writeFileSync(complete, packages.join('\n'));
  return python;
}
