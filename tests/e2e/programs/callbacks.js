// A TLS server whose handlers act within the handshake, while OpenSSL is still reading: each new connection
// makes a call over one plain connection that was open before, and is spoken to first. Prints its port, and
// the client's port of the plain connection, once it listens.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');
const { parseArgs } = require('node:util');

const { values: options } = parseArgs({ options: { cert: { type: 'string' }, key: { type: 'string' } } });
const certificate = { cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) };
let connections = 0;

const plain = http.createServer((request, response) => response.end('plain'));
plain.keepAliveTimeout = 0;
plain.listen(0, '127.0.0.1', () => {
  const wire = net.connect(plain.address().port, '127.0.0.1');
  wire.resume();
  const server = tls.createServer(certificate, (socket) => {
    connections += 1;
    wire.write(`GET /within/plain-${connections} HTTP/1.1\r\nHost: plain\r\n\r\n`);
    socket.write('HTTP/1.1 102 Processing\r\n\r\n');
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    socket.on('error', () => {});
  });
  wire.on('connect', () => server.listen(0, '127.0.0.1', () => {
    console.log(`${server.address().port} ${wire.localPort}`);
  }));
});
