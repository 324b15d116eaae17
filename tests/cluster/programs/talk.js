// In a pod: answers like serve.py, or, with URLs as arguments, posts to each and prints its last element.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');

function answer(request, response) {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"answered": true}');
  });
}

function call(url) {
  return new Promise((resolve, reject) => {
    const library = url.startsWith('https:') ? https : http;
    const headers = { 'content-type': 'application/json' };
    const request = library.request(url, { method: 'POST', headers, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume().on('end', resolve);
    });
    request.on('error', reject).end('{"quantity": 1}');
  });
}

async function main(urls) {
  for (const url of urls) {
    await call(url);
    process.stdout.write(`${url.split('/').pop()}\n`);
  }
}

if (process.argv.length > 2) {
  main(process.argv.slice(2));
} else {
  const read = (name) => fs.readFileSync(`/programs/${name}.pem`);
  http.createServer(answer).listen(8000);
  https.createServer({ cert: read('certificate'), key: read('key') }, answer).listen(8443);
}
