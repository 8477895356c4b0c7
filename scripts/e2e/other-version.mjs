// A daemon of another version, as far as the app can tell: a control socket that answers `status` and `daemon_stop`.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];

/** One unmasked frame; what is said here is short. */
function frame(opcode, payload) {
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length]), payload]);
}

/** Takes the first whole masked frame off `buffer`, or null. */
function take(buffer) {
  if (buffer.length < 6) return null;
  const short = buffer[1] & 127;
  const header = short === 126 ? 4 : 2;
  const length = short === 126 ? buffer.readUInt16BE(2) : short;
  const end = header + 4 + length;
  if (buffer.length < end) return null;
  const mask = buffer.subarray(header, header + 4);
  const payload = Buffer.from(buffer.subarray(header + 4, end).map((byte, i) => byte ^ mask[i % 4]));
  return { opcode: buffer[0] & 15, payload, rest: buffer.subarray(end) };
}

/** Serves `home` as a daemon of `version`; ends when it is asked to. */
export function serveOtherVersion(home, version, protocol) {
  const control = join(home, 'run', 'control');
  const path = join(home, 'run', 'other.sock');
  const address = `unix:${path}`;
  const sockets = new Set();
  const server = createServer();
  const end = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    // Unless the daemon that came after it has written its own.
    if (existsSync(control) && readFileSync(control, 'utf8') === address) rmSync(control);
  };
  const answer = (method) => (method === 'status' ? { version, protocol } : null);
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const accept = createHash('sha1')
      .update(request.headers['sec-websocket-key'] + WEBSOCKET)
      .digest('base64');
    const upgrade = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write([...upgrade, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'));
    let buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (let next = take(buffer); next; next = take(buffer)) {
        buffer = next.rest;
        if (next.opcode === PING) socket.write(frame(PONG, next.payload));
        if (next.opcode === CLOSE) socket.end();
        if (next.opcode !== TEXT) continue;
        const { id, method } = JSON.parse(next.payload);
        const reply = JSON.stringify({ jsonrpc: '2.0', id, result: answer(method) });
        socket.write(frame(TEXT, Buffer.from(reply)), () => method === 'daemon_stop' && end());
      }
    });
  });
  mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 });
  return new Promise((resolve) => {
    server.listen(path, () => {
      writeFileSync(control, address);
      resolve({ end });
    });
  });
}
