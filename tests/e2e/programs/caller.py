"""The keep-alive client: reads calls as JSON lines (tests/e2e/calls.py) from standard input and makes them,
each connection in its own thread; logs every exchange. Exits at the end of its input.
"""

from __future__ import annotations

import argparse
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Payload, Peer, peer
from tests.e2e.programs import contexts
from tests.e2e.programs.contexts import Context
from tests.e2e.programs.echo import Log
from tests.e2e.programs.http_bytes import Message, take

PATIENCE = 60  # seconds after which a silent server is an error


def request_bytes(call: Call, host: str) -> bytes:
    lines = [f"{call.method} ".encode() + call.target + b" HTTP/1.1", b"Host: " + host.encode()]
    lines += [name + b": " + value for name, value in call.headers]
    if call.body is not None:
        lines.append(b"Content-Length: %d" % len(call.body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (call.body or b"")


def read_response(stream: socket.socket, method: str) -> Message:
    """Raises ConnectionError if the server closes before the message is complete."""
    buffer, no_body = b"", method == "HEAD"
    while (found := take(buffer, no_body=no_body)) is None:
        data = stream.recv(65536)
        if not data:
            found = take(buffer, ended=True, no_body=no_body)
            if found is None:
                raise ConnectionError("the server ended within a response")
            break
        buffer += data
    return found[0]


class Connection(threading.Thread):
    """One connection's calls, in order. A close-delimited response is followed by a new connection."""

    def __init__(self, options: argparse.Namespace, context: Context | None, log: Log) -> None:
        super().__init__()
        self.calls: queue.Queue[Call | None] = queue.Queue()
        self.failed = False
        self._options, self._context, self._log = options, context, log
        self._stream: socket.socket | None = None

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            try:
                self._make(call)
            except (OSError, ValueError) as error:
                sys.stderr.write(f"{call.id}: {error}\n")
                self.failed = True
                return
        if self._stream is not None:
            self._stream.close()

    def _connect(self) -> socket.socket:
        if self._options.unix:
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(str(self._options.unix))
            return stream
        stream = socket.create_connection((self._options.host, self._options.port), PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            return self._context.wrap_socket(stream, server_hostname=self._options.host)
        return stream

    def _make(self, call: Call) -> None:
        if self._stream is None:
            self._stream = self._connect()
        stream, host = self._stream, f"{self._options.authority}:{self._options.port}"
        local, remote = _peer(stream.getsockname()), _peer(stream.getpeername())
        raw, start_ns = request_bytes(call, host), time.time_ns()
        for at in range(0, len(raw), call.piece or len(raw)):
            stream.sendall(raw[at : at + (call.piece or len(raw))])
        answer = read_response(stream, call.method)
        end_ns = time.time_ns()
        if (b"Connection", b"close") in answer.headers:
            stream.close()
            self._stream = None
        self._log.write(
            Observation(
                end="client",
                id=call.id,
                method=call.method,
                target=call.target,
                status=int(answer.first[1]),
                request_headers=call.headers,
                request=Payload.of(call.body or b""),
                response_headers=answer.headers,
                response=Payload.of(answer.payload),
                local=local,
                peer=remote,
                start_ns=start_ns,
                end_ns=end_ns,
                pid=os.getpid(),
            )
        )


def _peer(address: Any) -> Peer | None:
    return peer(address[0], address[1]) if isinstance(address, tuple) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix", type=Path)
    parser.add_argument("--ca", help="speak TLS and trust this certificate")
    contexts.add_option(parser)
    options = parser.parse_args()
    options.authority = f"[{options.host}]" if ":" in options.host else options.host
    context, log = contexts.client(options, "http/1.1"), Log(options.log)
    connections: dict[int, Connection] = {}
    for line in sys.stdin.buffer:
        call = from_line(line)
        if call.connection not in connections:
            connections[call.connection] = Connection(options, context, log)
            connections[call.connection].start()
        connections[call.connection].calls.put(call)
    for connection in connections.values():
        connection.calls.put(None)
    for connection in connections.values():
        connection.join()
    sys.exit(any(connection.failed for connection in connections.values()))


if __name__ == "__main__":
    main()
