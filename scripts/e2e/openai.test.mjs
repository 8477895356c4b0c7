// The official OpenAI clients against the local API: a model of this device, and the same model through a peer.
// The models are the tiny ones of sidecar/compute/fixtures: `chain` always says one sentence, `embed` makes vectors.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { Device, befriend, until } from '../lib/mesh.mjs';
import { at } from '../lib/paths.mjs';
import { must } from '../lib/run.mjs';
import { pythonWithOpenAi } from './python.mjs';

const QUESTION = [{ role: 'user', content: 'Hello' }];

let desk;
let laptop;
let python;

before(async () => {
  python = await pythonWithOpenAi();
  desk = new Device('Desk');
  laptop = new Device('Laptop');
  mkdirSync(join(desk.home, 'models'), { recursive: true });
  for (const model of ['chain.gguf', 'embed.gguf']) {
    copyFileSync(at('sidecar', 'compute', 'fixtures', model), join(desk.home, 'models', model));
  }
  await Promise.all([desk.serve(), laptop.serve('--no-builtin-engine')]);
  await befriend(desk, laptop);
  const arrived = async () => (await laptop.cli('models')).find((model) => model.id === 'chain') ?? null;
  await until('the models of the desk on the laptop', arrived);
});

after(async () => {
  await Promise.all([desk?.remove(), laptop?.remove()]);
});

/** What each client must be able to do at `device` with these model names. */
const PLACES = [
  { where: 'on this device', device: () => desk, chat: 'chain', embed: 'embed' },
  { where: 'through a named peer', device: () => laptop, chat: 'Desk/chain', embed: 'Desk/embed' },
  { where: 'wherever the model is', device: () => laptop, chat: 'chain', embed: 'embed' },
];

for (const { where, device, chat, embed } of PLACES) {
  test(`JavaScript, ${where}`, async () => {
    const client = new OpenAI({ baseURL: device().ready.api, apiKey: 'none', maxRetries: 0, timeout: 60_000 });
    const ids = (await client.models.list()).data.map((model) => model.id);
    assert.ok(
      ids.some((id) => id === chat || id.endsWith(`/${chat}`)),
      `${chat} is not among ${ids.join(', ')}`,
    );

    const whole = await client.chat.completions.create({ model: chat, messages: QUESTION, max_tokens: 64 });
    const expected = whole.choices[0].message.content;
    assert.ok(expected.trim().length > 0);

    const pieces = [];
    let finish = null;
    const stream = await client.chat.completions.create({
      model: chat,
      messages: QUESTION,
      max_tokens: 64,
      stream: true,
    });
    for await (const chunk of stream) {
      pieces.push(chunk.choices[0]?.delta?.content ?? '');
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(pieces.join(''), expected);
    assert.ok(pieces.filter(Boolean).length > 1, 'the answer came in one piece');
    assert.equal(finish, 'stop');

    const embedding = await client.embeddings.create({ model: embed, input: ['one', 'two'] });
    assert.equal(embedding.data.length, 2);
    assert.ok(embedding.data[0].embedding.length > 1);
  });

  test(`Python, ${where}`, async () => {
    const script = at('scripts', 'e2e', 'openai_client.py');
    const { stdout } = await must('The Python client', python, [script, device().ready.api, chat, embed]);
    const seen = JSON.parse(stdout);
    assert.ok(seen.models.length > 0);
    assert.ok(seen.whole.trim().length > 0);
    assert.equal(seen.streamed, seen.whole);
    assert.ok(seen.pieces > 1, 'the answer came in one piece');
    assert.equal(seen.finish, 'stop');
    assert.equal(seen.embeddings.length, 2);
    assert.equal(seen.unknown?.status, 404);
  });
}

test('an unknown model is a sentence that helps', async () => {
  const client = new OpenAI({ baseURL: laptop.ready.api, apiKey: 'none', maxRetries: 0 });
  const asked = client.chat.completions.create({ model: 'no-such-model', messages: QUESTION });
  await assert.rejects(asked, (error) => error.status === 404 && /no-such-model/.test(error.message));
});

test('aborting a stream ends it, and the device answers on', async () => {
  const client = new OpenAI({ baseURL: laptop.ready.api, apiKey: 'none', maxRetries: 0 });
  const stream = await client.chat.completions.create({ model: 'Desk/chain', messages: QUESTION, stream: true });
  for await (const _ of stream) break;
  stream.controller.abort();
  const again = await client.chat.completions.create({ model: 'Desk/chain', messages: QUESTION, max_tokens: 16 });
  assert.ok(again.choices[0].message.content.length > 0);
});
