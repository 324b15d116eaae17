// Pipelines requests of one length on several TLS connections at once: in each round, all connections write
// all their requests in one turn of the event loop, and the next round begins when all are answered. Prints a
// JSON line {"id", "port"} for each answered request, with the port of its connection.
'use strict';
const fs = require('node:fs');
const tls = require('node:tls');
const { parseArgs } = require('node:util');

const { values: options } = parseArgs({
  options: { port: { type: 'string' }, ca: { type: 'string' }, connections: { type: 'string' },
    depth: { type: 'string' }, rounds: { type: 'string' } },
});
const [connections, depth, rounds] = [options.connections, options.depth, options.rounds].map(Number);
const ca = fs.readFileSync(options.ca);
let number = 0;

function request(id) {
  return `GET /echo/${id} HTTP/1.1\r\nHost: localhost:${options.port}\r\n\r\n`;
}

function answers(text) {
  return text.split('HTTP/1.1 200').length - 1;
}

function round(sockets) {
  return Promise.all(sockets.map((socket) => new Promise((resolve) => {
    const ids = Array.from({ length: depth }, () => `piped-${String(number++).padStart(6, '0')}`);
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (answers(text) < depth) return;
      socket.removeAllListeners('data');
      for (const id of ids) process.stdout.write(`${JSON.stringify({ id, port: socket.localPort })}\n`);
      resolve();
    });
    for (const id of ids) socket.write(request(id));
  })));
}

function connect() {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: options.port, ca, servername: 'localhost' }, () => resolve(socket));
    socket.on('error', reject);
  });
}

async function main() {
  const sockets = await Promise.all(Array.from({ length: connections }, connect));
  for (let i = 0; i < rounds; i++) await round(sockets);
  for (const socket of sockets) socket.end();
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
