// The keep-alive client on Node's own http and https: calls as JSON lines on standard input
// (tests/e2e/calls.py), made one after the other per connection; the log of programs/caller.py.
// With --http2 a connection has up to so many streams open at once; with --undici calls are undici's
// (Debian's node-undici).
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const readline = require('node:readline');
const { parseArgs } = require('node:util');
const { pairs, payload } = require('./logged.js');

const { values: options } = parseArgs({
  options: { log: { type: 'string' }, host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' }, ca: { type: 'string' },
    http2: { type: 'string', default: '0' }, undici: { type: 'boolean', default: false } },
});
const log = fs.openSync(options.log, 'a', 0o600);
const ca = options.ca && fs.readFileSync(options.ca);
const library = ca ? https : http;
const latin1 = (text) => Buffer.from(text, 'base64').toString('latin1');
const connections = new Map();

function write(call, body, start, status, headers, pieces, socket) {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  fs.writeSync(log, `${JSON.stringify({
    end: 'client', id: call.id, method: call.method, target: call.target, status,
    request_headers: call.headers, request: payload(body || Buffer.alloc(0)),
    response_headers: headers, response: payload(Buffer.concat(pieces)),
    local: [localAddress, localPort], peer: [remoteAddress, remotePort],
    start_ns: start, end_ns: Date.now() * 1e6 + 1e6, pid: process.pid,
  })}\n`);
}

function prepared(call) {
  const body = call.body === null ? null : Buffer.from(call.body, 'base64');
  const headers = Object.fromEntries(call.headers.map(([name, value]) => [latin1(name), latin1(value)]));
  if (body) headers['Content-Length'] = body.length;
  return { body, headers, start: Date.now() * 1e6 };
}

function make(call, agent) {
  return new Promise((resolve, reject) => {
    const { body, headers, start } = prepared(call);
    const request = library.request({ agent, ca, host: options.host, port: options.port, method: call.method, path: latin1(call.target), headers });
    request.on('error', reject);
    request.on('response', (response) => {
      const socket = response.socket;
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => {
        write(call, body, start, response.statusCode, pairs(response.rawHeaders), pieces, socket);
        resolve();
      });
    });
    request.end(body || undefined);
  });
}

async function makeUndici(call, client, sockets) {
  const { body, headers, start } = prepared(call);
  const answer = await client.request({ method: call.method, path: latin1(call.target), headers, body });
  const pieces = [Buffer.from(await answer.body.arrayBuffer())];
  write(call, body, start, answer.statusCode, null, pieces, sockets[0]);
}

function makeStream(call, session) {
  return new Promise((resolve, reject) => {
    const { body, headers, start } = prepared(call);
    const stream = session.request({ ':method': call.method, ':path': latin1(call.target), ...headers });
    const pieces = [];
    let status = null;
    stream.on('error', reject);
    stream.on('response', (answer) => { status = answer[':status']; });
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('end', () => {
      write(call, body, start, status, null, pieces, session.socket);
      resolve();
    });
    stream.end(body || undefined);
  });
}

// One connection: `make` calls one after the other, or as many streams at once as asked for.
function connect() {
  if (options.undici) {
    const { Client, buildConnector } = require('undici');
    const open = buildConnector({ ca });
    const sockets = [];
    const connect = (target, done) => open(target, (error, socket) => {
      if (socket) sockets.unshift(socket);
      done(error, socket);
    });
    const client = new Client(`${ca ? 'https' : 'http'}://${options.host}:${options.port}`, { connect });
    return { lanes: [Promise.resolve()], next: 0, make: (call) => makeUndici(call, client, sockets), close: () => client.close() };
  }
  if (options.http2 === '0') {
    const agent = new library.Agent({ keepAlive: true, maxSockets: 1 });
    return { lanes: [Promise.resolve()], next: 0, make: (call) => make(call, agent), close: () => agent.destroy() };
  }
  const session = http2.connect(`${ca ? 'https' : 'http'}://${options.host}:${options.port}`, { ca });
  session.on('error', failed);
  const lanes = Array.from({ length: Number(options.http2) }, () => Promise.resolve());
  return { lanes, next: 0, make: (call) => makeStream(call, session), close: () => session.close() };
}

function failed(error) {
  process.stderr.write(`${error}\n`);
  process.exit(1);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const call = JSON.parse(line);
  if (!connections.has(call.connection)) connections.set(call.connection, connect());
  const connection = connections.get(call.connection);
  const lane = connection.next;
  connection.next = (lane + 1) % connection.lanes.length;
  connection.lanes[lane] = connection.lanes[lane].then(() => connection.make(call)).catch(failed);
});
lines.on('close', async () => {
  for (const { lanes, close } of connections.values()) {
    await Promise.all(lanes);
    close();
  }
});
