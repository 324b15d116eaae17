// The echo server on Node's own http and https: the same answers and log as programs/echo.py gives for
// /echo/ and /bytes/. Prints its port once it listens. Node's TLS works on a memory buffer.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { parseArgs } = require('node:util');
const { base64, pairs, payload } = require('./logged.js');

const { values: options } = parseArgs({
  options: { log: { type: 'string' }, host: { type: 'string', default: '127.0.0.1' },
    cert: { type: 'string' }, key: { type: 'string' } },
});
const log = fs.openSync(options.log, 'a', 0o600);
const now = () => Date.now() * 1e6;

function pattern(size) {
  return Buffer.from(`["${'a long answer '.repeat(size / 14).padEnd(size - 4)}"]`);
}

function answer(request, body) {
  const segments = request.url.split('?')[0].split('/');
  const id = request.headers['x-spectap-test'] || segments[segments.length - 1];
  let bytes = body.length ? body : Buffer.from(JSON.stringify({ id }));
  if (segments[1] === 'bytes') bytes = pattern(Number(segments[2]));
  return { id, bytes, type: request.headers['content-type'] || 'application/json' };
}

function serve(request, response) {
  const start = now();
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    const { id, bytes, type } = answer(request, body);
    const headers = ['X-Spectap-Test', id, 'Content-Type', type, 'Content-Length', String(bytes.length)];
    const { localAddress, localPort, remoteAddress, remotePort } = request.socket;
    response.writeHead(200, headers);
    response.end(bytes, () => fs.writeSync(log, `${JSON.stringify({
      end: 'server', id, method: request.method, target: base64(Buffer.from(request.url, 'latin1')), status: 200,
      request_headers: pairs(request.rawHeaders), request: payload(body),
      response_headers: pairs(headers), response: payload(bytes),
      local: [localAddress, localPort], peer: [remoteAddress, remotePort],
      start_ns: start, end_ns: now() + 1e6, pid: process.pid,
    })}\n`));
  });
}

const tls = options.cert && { cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) };
const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
server.keepAliveTimeout = 600000;
server.listen(0, options.host, () => process.stdout.write(`${server.address().port}\n`));
