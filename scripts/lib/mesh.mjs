// Throw-away daemons for the demo and the tests: own home, loopback only, any free port, no keychain.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Refusal } from './log.mjs';
import { built } from './paths.mjs';
import { run, start } from './run.mjs';

/** What keeps a daemon to itself: no other device, port or network is touched. */
export const ALONE = ['--api-port', '0', '--listen', '127.0.0.1:0', '--no-mdns', '--relay', 'none'];

/** No keychain answers there, so a device that lives for a minute leaves no key in the person's own. */
export const NO_KEYCHAIN = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/myownllm' };

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until there is an answer; `null` and `undefined` mean "not yet". */
export async function until(what, ask, { within = 20_000, every = 100 } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Refusal(`Waited ${within / 1000} s in vain for ${what}.`);
    await sleep(every);
  }
}

/** A device: a home, the command line for it, and the daemon once it is started. */
export class Device {
  constructor(name, { program = process.env.MYOWNLLM_MESH_BIN || built('myownmesh'), env = {} } = {}) {
    this.name = name;
    this.program = program;
    this.home = mkdtempSync(join(tmpdir(), `myownllm-${name.toLowerCase()}-`));
    this.env = { ...NO_KEYCHAIN, ...env, MYOWNMESH_HOME: this.home };
  }

  /** Starts its daemon and waits until it is ready. */
  async serve(...more) {
    const args = ['serve', '--json', ...ALONE, '--device-name', this.name, ...more];
    this.log = [];
    this.child = start(this.program, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    createInterface({ input: this.child.stderr }).on('line', (line) => {
      this.log.push(line);
      if (this.log.length > 200) this.log.shift();
    });
    const first = await new Promise((resolve) => {
      createInterface({ input: this.child.stdout }).once('line', resolve);
      this.ended.then(() => resolve(null));
    });
    this.ready = JSON.parse(first ?? 'null');
    if (this.ready?.event !== 'ready') {
      const why = this.ready?.error?.message ?? this.log.slice(-10).join('\n');
      throw new Refusal(`The daemon of ${this.name} did not start: ${why}`);
    }
    return this.ready;
  }

  /** Runs one command; returns its JSON answer or throws what the daemon says. */
  async cli(...args) {
    const { code, output, stdout } = await run(this.program, [...args, '--json'], { env: this.env, timeout: 120_000 });
    let answer = null;
    try {
      answer = JSON.parse(stdout);
    } catch {
      throw new Refusal(
        `\`myownmesh ${args.join(' ')}\` on ${this.name} answered no JSON (exit code ${code}): ${output}`,
      );
    }
    if (answer?.error) throw new Refusal(`\`myownmesh ${args[0]}\` on ${this.name}: ${answer.error.message}`);
    return answer;
  }

  /** Runs a command that answers line by line; `onLine` gets each parsed line. Returns all of them. */
  follow(args, onLine = () => {}) {
    const child = start(this.program, [...args, '--json'], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const errors = [];
    child.stderr.on('data', (chunk) => errors.push(chunk));
    const lines = [];
    const done = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const parsed = JSON.parse(line);
        lines.push(parsed);
        onLine(parsed);
      });
      child.once('error', reject);
      child.once('close', (code) => {
        const error = lines.find((line) => line.error)?.error ?? lines.find((line) => line.type === 'error');
        if (code === 0) resolve(lines);
        else reject(new Refusal(error?.message ?? `${args[0]}: exit code ${code}. ${Buffer.concat(errors)}`));
      });
    });
    // Whoever waits for it sees the error; until then it must not end the process.
    done.catch(() => {});
    return { child, lines, done };
  }

  /** The address of this device's control file, for checks that it is gone. */
  controlFile() {
    try {
      return readFileSync(join(this.home, 'run', 'control'), 'utf8');
    } catch {
      return null;
    }
  }

  /** Ends the daemon in order; returns the milliseconds it took. */
  async stop() {
    if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return 0;
    const started = performance.now();
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await this.ended;
    clearTimeout(timer);
    return performance.now() - started;
  }

  /** Ends the daemon and deletes the home. */
  async remove() {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Brings `newcomer` into a network that `founder` founds, as two people would: invite, knock, same code, approve. */
export async function befriend(founder, newcomer, name = 'home') {
  const network = await founder.cli('network', 'create', name);
  const { invite } = await founder.cli('invite');
  const joining = newcomer.follow(['join', invite, '--wait', '60']);
  const knocking = () => joining.lines.find((line) => line.event === 'knocking') ?? null;
  const shown = await Promise.race([until('the knock', knocking), joining.done.then(knocking)]);
  const card = await until('the knock to arrive', async () => (await founder.cli('knocks'))[0] ?? null);
  await founder.cli('approve', card.id, '--code', shown.code);
  await joining.done;
  return network;
}
