"""The base of both sample services: JSON over HTTP/1.1 with keep-alive on a free loopback port."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from urllib.parse import parse_qs, urlsplit

from server.analysis.json import Json

MOST_BODY = 64 * 1024
IDLE_S = 60.0

Answer = tuple[int, Json]
Call = Callable[[str, list[str], dict[str, list[str]], Json], Answer]
"""(method, path segments, query, JSON body or None) → status and JSON body (None for an empty one)."""


def serve(call: Call, context: ssl.SSLContext | None = None) -> None:
    """Serves `call` until killed; prints "ready PORT" when ready for calls."""
    server = service(call, context)
    sys.stdout.write(f"ready {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


def service(call: Call, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    """A server for `call` on a free port, with TLS if given a context."""

    class ServedCall(_ServedCall):
        answer = staticmethod(call)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket, tuple[str, int]]:
            connection, peer = super().get_request()
            if context is not None:  # the handshake belongs in the connection's thread
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, peer

        def handle_error(self, request: object, client_address: object) -> None:
            """Silent: a client that disconnects is no error."""

    return Server(("127.0.0.1", 0), ServedCall)


class _ServedCall(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_S
    answer: Call

    def _any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MOST_BODY:
            self.close_connection = True
            self._send(413, {"error": "too large"})
            return
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            self._send(400, {"error": "not JSON"})
            return
        parts = urlsplit(self.path)
        segments = [segment for segment in parts.path.split("/") if segment]
        self._send(*type(self).answer(self.command, segments, parse_qs(parts.query), body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _send(self, status: int, document: Json) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if document is not None:
            self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: the calls are shown by spectap."""
