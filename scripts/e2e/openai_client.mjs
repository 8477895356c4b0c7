// Uses the local API with the official OpenAI client for JavaScript. Prints one JSON document, as the Python scripts do:
// each check with what is wrong, if anything. Arguments: the base URL, then the models by what they are for.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [base, chat, embed, tools, slow] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0, timeout: 60_000 });
const QUESTION = [{ role: 'user', content: 'Hello' }];
const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const TOOL = [{ type: 'function', function: { name: 'get_weather', parameters: WEATHER } }];
const CITY = { city: 'Paris' };

const whole = () => client.chat.completions.create({ model: chat, messages: QUESTION, max_tokens: 64 });

const CHECKS = {
  models: async () => {
    const ids = (await client.models.list()).data.map((model) => model.id);
    assert.ok(ids.includes('myownllm'), ids.join(', '));
    assert.equal((await client.models.retrieve('myownllm')).id, 'myownllm');
  },
  chat: async () => {
    assert.ok((await whole()).choices[0].message.content.trim());
  },
  'chat, streamed': async () => {
    const expected = (await whole()).choices[0].message.content;
    const pieces = [];
    let [finish, usage] = [null, null];
    const asked = { model: chat, messages: QUESTION, max_tokens: 64, stream: true };
    for await (const chunk of await client.chat.completions.create({
      ...asked,
      stream_options: { include_usage: true },
    })) {
      pieces.push(chunk.choices[0]?.delta?.content ?? '');
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.equal(pieces.join(''), expected);
    assert.ok(pieces.filter(Boolean).length > 1, 'the answer came in one piece');
    assert.equal(finish, 'stop');
    assert.ok(usage.completion_tokens > 0);
  },
  tools: async () => {
    const answer = await client.chat.completions.create({ model: tools, messages: QUESTION, tools: TOOL });
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), CITY);
  },
  'tools, streamed': async () => {
    const stream = client.chat.completions.stream({ model: tools, messages: QUESTION, tools: TOOL });
    const answer = await stream.finalChatCompletion();
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), CITY);
  },
  completions: async () => {
    const answer = await client.completions.create({ model: chat, prompt: 'Hello', max_tokens: 4 });
    assert.ok(answer.choices[0].text);
  },
  embeddings: async () => {
    const answer = await client.embeddings.create({ model: embed, input: ['one', 'two'] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.length > 1);
  },
  responses: async () => {
    const answer = await client.responses.create({ model: chat, input: 'Hello', max_output_tokens: 64 });
    assert.equal(answer.output_text, (await whole()).choices[0].message.content);
  },
  'responses, streamed': async () => {
    const stream = client.responses.stream({ model: chat, input: 'Hello' });
    let deltas = 0;
    stream.on('response.output_text.delta', () => (deltas += 1));
    const answer = await stream.finalResponse();
    assert.ok(deltas > 1, 'the answer came in one piece');
    assert.equal(answer.status, 'completed');
  },
  errors: async () => {
    const unknown = client.chat.completions.create({ model: 'no-such-model', messages: QUESTION });
    await assert.rejects(unknown, (error) => error.status === 404 && /no-such-model/.test(error.message));
    const earlier = client.responses.create({ model: chat, input: 'Hello', previous_response_id: 'resp_1' });
    await assert.rejects(earlier, (error) => error.status === 400 && error.param === 'previous_response_id');
  },
  cancelled: async () => {
    const stream = await client.chat.completions.create({ model: slow, messages: QUESTION, stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
    assert.ok((await whole()).choices[0].message.content, 'the device answers on');
  },
};

const results = [];
for (const [check, run] of Object.entries(CHECKS)) {
  const problem = await run().then(
    () => null,
    (error) => String(error.stack ?? error),
  );
  results.push({ check, problem });
}
console.log(JSON.stringify(results));
