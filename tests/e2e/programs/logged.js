// The form in which client and server log bodies and headers (tests/e2e/observations.py).
'use strict';
const crypto = require('node:crypto');

const base64 = (bytes) => bytes.toString('base64');

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

module.exports = { base64, payload, pairs };
