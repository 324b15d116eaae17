"""The two ends of the self-test's calls: `python -m agent.doctor.ends`, once as server, once as client.

They use HTTP libraries that the agent does not parse with (the standard library's and h2), so that a defect
of the agent's parsers cannot hide itself. Both end with their standard input, so also when the doctor is
killed.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

PLAIN, TLS, H2 = "plain", "tls", "h2"
HERE = "127.0.0.1"
SECONDS = 10.0  # for one read or write
MAX_READ = 64 * 1024
PATH = "/spectap-doctor/"


def server(certificate: str | None, key: str | None) -> None:
    """Serves on loopback ports, printed as a line of JSON; ends with its input."""
    ports = {PLAIN: serve_http1(None), H2: serve_http2()}
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        ports[TLS] = serve_http1(context)
    print_line(ports)
    sys.stdin.read()


class Http1Server(BaseHTTPRequestHandler):
    """Answers a GET; the body is the target's part behind PATH. The client closes first."""

    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        body = self.path.removeprefix(PATH).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the doctor reports the outcome."""


def serve_http1(context: ssl.SSLContext | None) -> int:
    """Serves in a thread, with TLS if given a context. Returns the port."""
    http = ThreadingHTTPServer((HERE, 0), Http1Server)
    if context is not None:
        http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return http.server_port


def serve_http2() -> int:
    """Serves HTTP/2 with prior knowledge (RFC 9113 section 3.3) in a thread. Returns the port."""
    listener = socket.create_server((HERE, 0))

    def accept() -> None:
        while True:
            channel = listener.accept()[0]
            with channel, suppress(OSError, ProtocolError):
                channel.settimeout(SECONDS)
                connection = H2Connection(H2Configuration(client_side=False))
                connection.initiate_connection()
                converse(channel, connection, answer)

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def converse(
    channel: socket.socket, connection: H2Connection, react: Callable[[H2Connection, Event], bool]
) -> None:
    """Sends pending data and passes events to `react`, until the peer closes or `react` returns true."""
    channel.sendall(connection.data_to_send())
    while received := channel.recv(MAX_READ):
        done = [react(connection, event) for event in connection.receive_data(received)]
        channel.sendall(connection.data_to_send())
        if any(done):
            return


def answer(connection: H2Connection, event: Event) -> bool:
    """Answers a request; the body is the target's part behind PATH."""
    if isinstance(event, RequestReceived):
        path = dict(event.headers)[b":path"]
        connection.send_headers(event.stream_id, [(":status", "200")])
        connection.send_data(event.stream_id, path.removeprefix(PATH.encode()), end_stream=True)
    return False


def client() -> None:
    """For each line of JSON {protocol, port, id, authority} makes that call and prints {protocol, error}."""
    for line in sys.stdin:
        wanted = json.loads(line)
        error = None
        try:
            call(wanted["protocol"], wanted["port"], wanted["id"], wanted["authority"])
        except (OSError, ValueError, HTTPException, ProtocolError) as problem:
            error = str(problem) or type(problem).__name__
        print_line({"protocol": wanted["protocol"], "error": error})


def call(protocol: str, port: int, name: str, authority: str | None) -> None:
    """Makes one call. Raises OSError, HTTPException or ProtocolError, and ValueError if the answer is not the
    id sent.
    """
    if protocol == H2:
        answered = ask_http2(port, name)
    elif protocol == TLS:
        context = ssl.create_default_context(cafile=authority)
        answered = ask_http1(HTTPSConnection(HERE, port, timeout=SECONDS, context=context), name)
    else:
        answered = ask_http1(HTTPConnection(HERE, port, timeout=SECONDS), name)
    if answered != name.encode():
        raise ValueError("the answer belongs to another call")


def ask_http1(connection: HTTPConnection, name: str) -> bytes:
    try:
        connection.request("GET", PATH + name)
        return connection.getresponse().read(MAX_READ)
    finally:
        connection.close()


def ask_http2(port: int, name: str) -> bytes:
    body = bytearray()

    def collect(connection: H2Connection, event: Event) -> bool:
        if isinstance(event, DataReceived):
            body.extend(event.data)
        return isinstance(event, StreamEnded)

    connection = H2Connection()
    authority = f"{HERE}:{port}"
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", PATH + name)]
    with socket.create_connection((HERE, port), SECONDS) as channel:
        connection.initiate_connection()
        connection.send_headers(1, fields, end_stream=True)
        converse(channel, connection, collect)
    return bytes(body)


def print_line(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(*(sys.argv[2:4] if len(sys.argv) > 3 else (None, None)))
    else:
        client()
