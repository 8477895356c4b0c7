// The official OpenAI client for Python, in an environment of its own in this user's cache.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WINDOWS, cacheDir, which } from '../lib/paths.mjs';
import { must } from '../lib/run.mjs';

const VERSION = '3.52.0';

/** @returns {Promise<string>} a Python that can `import openai` */
export async function pythonWithOpenAi() {
  const folder = join(cacheDir(), `openai-python-${VERSION}`);
  const python = WINDOWS ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  // Debian's own first: an environment made by another Python breaks when that one goes.
  const base = ['/usr/bin/python3', which('python3'), which('python')].find((path) => path && existsSync(path));
  await must('Making a Python environment', base ?? 'python3', ['-m', 'venv', '--clear', folder]);
  await must('Installing the OpenAI client', python, ['-m', 'pip', 'install', '--quiet', `openai==${VERSION}`]);
  writeFileSync(complete, VERSION);
  return python;
}
