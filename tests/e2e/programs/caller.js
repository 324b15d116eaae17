// The keep-alive client on Node's own http and https: calls as JSON lines on standard input
// (tests/e2e/calls.py), made one after the other per connection; the log of programs/caller.py.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const readline = require('node:readline');
const { parseArgs } = require('node:util');

const { values: options } = parseArgs({
  options: { log: { type: 'string' }, host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' }, ca: { type: 'string' } },
});
const log = fs.openSync(options.log, 'a', 0o600);
const ca = options.ca && fs.readFileSync(options.ca);
const library = ca ? https : http;
const base64 = (bytes) => bytes.toString('base64');
const latin1 = (text) => Buffer.from(text, 'base64').toString('latin1');
const connections = new Map();

function payload(bytes) {
  return { size: bytes.length, sha256: crypto.createHash('sha256').update(bytes).digest('hex'), data: base64(bytes) };
}

function pairs(raw) {
  const found = [];
  for (let i = 0; i < raw.length; i += 2) {
    found.push([base64(Buffer.from(raw[i], 'latin1')), base64(Buffer.from(raw[i + 1], 'latin1'))]);
  }
  return found;
}

function make(call, agent) {
  return new Promise((resolve, reject) => {
    const body = call.body === null ? null : Buffer.from(call.body, 'base64');
    const headers = Object.fromEntries(call.headers.map(([name, value]) => [latin1(name), latin1(value)]));
    if (body) headers['Content-Length'] = body.length;
    const start = Date.now() * 1e6;
    const request = library.request({ agent, ca, host: options.host, port: options.port, method: call.method, path: latin1(call.target), headers });
    request.on('error', reject);
    request.on('response', (response) => {
      const { localAddress, localPort, remoteAddress, remotePort } = response.socket;
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => {
        fs.writeSync(log, `${JSON.stringify({
          end: 'client', id: call.id, method: call.method, target: call.target, status: response.statusCode,
          request_headers: call.headers, request: payload(body || Buffer.alloc(0)),
          response_headers: pairs(response.rawHeaders), response: payload(Buffer.concat(pieces)),
          local: [localAddress, localPort], peer: [remoteAddress, remotePort],
          start_ns: start, end_ns: Date.now() * 1e6 + 1e6, pid: process.pid,
        })}\n`);
        resolve();
      });
    });
    request.end(body || undefined);
  });
}

function failed(error) {
  process.stderr.write(`${error}\n`);
  process.exit(1);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const call = JSON.parse(line);
  if (!connections.has(call.connection)) {
    connections.set(call.connection, { agent: new library.Agent({ keepAlive: true, maxSockets: 1 }), last: Promise.resolve() });
  }
  const connection = connections.get(call.connection);
  connection.last = connection.last.then(() => make(call, connection.agent)).catch(failed);
});
lines.on('close', async () => {
  for (const { last } of connections.values()) await last;
  for (const { agent } of connections.values()) agent.destroy();
});
