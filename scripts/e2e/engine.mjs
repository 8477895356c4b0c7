// An engine for the client tests that does what no tiny model can: it calls tools, thinks, sees, and never ends.

import { createServer } from 'node:http';

const WHOLE = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'tools' };
const CALL = { name: 'get_weather', arguments: '{"city":"Paris"}' };
const USAGE = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };

/** What `tools` says to a conversation. */
function answer({ messages, tools }) {
  const thought = { reasoning_content: 'Let me see.' };
  if (messages.at(-1).role === 'tool') return { ...thought, content: 'It is 18 degrees in Paris.' };
  if (tools?.length)
    return { ...thought, content: null, tool_calls: [{ id: 'call_1', type: 'function', function: CALL }] };
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const images = parts.filter(({ type }) => type === 'image_url').length;
  return { ...thought, content: images ? `I see ${images} image.` : 'Hello yourself.' };
}

/** The same in pieces, arguments cut in the middle. */
function* pieces({ reasoning_content, content, tool_calls }) {
  yield { delta: { role: 'assistant', content: null } };
  yield { delta: { reasoning_content } };
  if (content) yield { delta: { content } };
  if (tool_calls) {
    const [head, tail] = [CALL.arguments.slice(0, 5), CALL.arguments.slice(5)];
    const named = { index: 0, id: 'call_1', type: 'function', function: { name: CALL.name, arguments: head } };
    yield { delta: { tool_calls: [named] } };
    yield { delta: { tool_calls: [{ index: 0, function: { arguments: tail } }] } };
  }
  yield { delta: {}, finish_reason: tool_calls ? 'tool_calls' : 'stop' };
}

/** Answers that are being given for ever, and how many ended because nobody listened any more. */
export class Engine {
  open = 0;
  abandoned = 0;

  /** Listens on a free port of loopback; returns its address. */
  async listen() {
    this.server = createServer((request, response) => this.#serve(request, response));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const json = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (request.url === '/v1/models') {
      // A size, so that whoever leaves the choice open is sent to the test's llama-server, which is smaller and sooner.
      const meta = { size: 50_000_000 };
      return json(200, { object: 'list', data: ['tools', 'slow'].map((id) => ({ id, object: 'model', meta })) });
    }
    if (request.url !== '/v1/chat/completions') return json(404, { error: { message: 'There is no such path.' } });
    const asked = JSON.parse(Buffer.concat(chunks).toString());
    if (asked.model === 'slow') return this.#never(response);
    const message = { role: 'assistant', ...answer(asked) };
    if (!asked.stream) {
      const finish_reason = message.tool_calls ? 'tool_calls' : 'stop';
      return json(200, { ...WHOLE, choices: [{ index: 0, message, finish_reason }], usage: USAGE });
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = (more) => `data: ${JSON.stringify({ ...WHOLE, object: 'chat.completion.chunk', ...more })}\n\n`;
    for (const piece of pieces(message)) {
      response.write(chunk({ choices: [{ index: 0, finish_reason: null, ...piece }] }));
    }
    if (asked.stream_options?.include_usage) response.write(chunk({ choices: [], usage: USAGE }));
    response.end('data: [DONE]\n\n');
  }

  #never(response) {
    this.open += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const delta = { ...WHOLE, object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'more ' } }] };
    const timer = setInterval(() => response.write(`data: ${JSON.stringify(delta)}\n\n`), 20);
    response.on('close', () => {
      clearInterval(timer);
      this.open -= 1;
      this.abandoned += 1;
    });
  }
}
