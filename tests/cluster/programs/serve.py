"""In a pod: answers every request with a JSON document, over HTTP at 8000 and HTTPS at 8443."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SPECIFICATION = {
    "openapi": "3.1.0",
    "info": {"title": "Orders", "version": "1"},
    "paths": {"/calls/{id}": {"post": {"responses": {"200": {"description": "the call"}}}}},
}


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        found = SPECIFICATION if self.path == "/openapi.json" else {"path": self.path}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


def main() -> None:
    plain, encrypted = (ThreadingHTTPServer(("0.0.0.0", port), Echo) for port in (8000, 8443))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/programs/certificate.pem", "/programs/key.pem")
    encrypted.socket = context.wrap_socket(encrypted.socket, server_side=True)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    encrypted.serve_forever()


if __name__ == "__main__":
    main()
