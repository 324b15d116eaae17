# The echo server on puma: answers a request with its body, and logs every exchange (tests/e2e/observations.py) to
# the file named by the variable LOG. puma's TLS works on memory buffers.
require 'base64'
require 'digest'
require 'json'

log = File.open(ENV.fetch('LOG'), 'a', 0o600)
payload = ->(bytes) { { size: bytes.bytesize, sha256: Digest::SHA256.hexdigest(bytes), data: Base64.strict_encode64(bytes) } }

run(lambda do |env|
  body = env['rack.input'].read
  _, port, _, host = env['puma.socket'].peeraddr
  target = env['REQUEST_URI'].sub(%r{\Ahttps?://[^/]*}, '')
  log.syswrite("#{JSON.generate(
    end: 'server', id: target.split('?')[0].split('/').last, method: env['REQUEST_METHOD'],
    target: Base64.strict_encode64(target), status: 200, request_headers: nil, request: payload.call(body),
    response_headers: nil, response: payload.call(body), local: [env['SERVER_NAME'], env['SERVER_PORT'].to_i],
    peer: [host, port], start_ns: nil, end_ns: nil, pid: Process.pid
  )}\n")
  [200, { 'content-type' => 'application/json', 'content-length' => body.bytesize.to_s }, [body]]
end)
