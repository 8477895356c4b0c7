#!/usr/bin/env node
// `npm start`: installs what is missing, builds what has changed, and opens the app. Without a display it plays the same
// story in the terminal.

import { runMain, say } from './lib/log.mjs';
import { hasDisplay } from './lib/display.mjs';
import { start } from './lib/run.mjs';
import { prepareApp } from './lib/setup.mjs';
import { demo } from './demo.mjs';

await runMain(async () => {
  if (!hasDisplay()) {
    say('There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can open.');
    say('Here is the same story in the terminal: npm run demo\n');
    return demo();
  }
  const { app, daemon, engine } = await prepareApp();
  say('\nOpening MyOwnLLM. Close the window, or press Ctrl-C here, to end it.');
  const child = start(app, [], {
    stdio: 'inherit',
    env: { MYOWNLLM_MESH_BIN: process.env.MYOWNLLM_MESH_BIN || daemon, MYOWNLLM_LLAMA_SERVER: engine },
  });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
});
