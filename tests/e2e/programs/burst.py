"""A client and a server that count the bytes they wrote and read on sockets, and their calls.

`server` prints its port; each prints its Tally as one line of JSON, the client after all calls, the server at
the end of its input. The n-th call of a connection is `GET /burst/NAME-CONNECTION-n`, and the response's id
repeats that, so that a mixed-up response is noticed. Simple, for speed.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
import threading
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Tally:
    """Bytes as returned by send and recv, and complete exchanges."""

    calls: int = 0
    sent: int = 0
    received: int = 0


class Line:
    """One connection with its counts."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream, self.tally, self._buffer = stream, Tally(), b""

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            sent = self.stream.send(left)
            self.tally.sent += sent
            left = left[sent:]

    def _more(self) -> bool:
        data = self.stream.recv(65536)
        self.tally.received += len(data)
        self._buffer += data
        return bool(data)

    def head(self) -> bytes:
        """Reads a message's head; empty at the end of the stream."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return b""
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def body(self, size: int) -> bytes:
        while len(self._buffer) < size and self._more():
            pass
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body


class Total:
    """The sum over connections; each adds its counts when it ends."""

    def __init__(self) -> None:
        self._tally, self._lock = Tally(), threading.Lock()

    def add(self, tally: Tally) -> None:
        with self._lock:
            for name, count in asdict(tally).items():
                setattr(self._tally, name, getattr(self._tally, name) + count)

    def print(self) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(asdict(self._tally)) + "\n")
            sys.stdout.flush()


def answered(line: Line, body: int) -> bool:
    """Reads one request and answers it; False at the end of the stream."""
    head = line.head()
    if not head:
        return False
    name = head.split(b" ", 2)[1].rpartition(b"/")[2]
    text = b'{"id":"' + name + b'","text":"' + b"x" * body + b'"}'
    line.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    )
    line.tally.calls += 1
    return True


def call(line: Line, name: str) -> None:
    line.send(f"GET /burst/{name} HTTP/1.1\r\nHost: burst\r\n\r\n".encode())
    size = int(line.head().lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    if f'"id":"{name}"'.encode() not in line.body(size):
        sys.exit(f"{name}: another call's answer")
    line.tally.calls += 1


def serve(options: argparse.Namespace) -> None:
    total, threads = Total(), list[threading.Thread]()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)

    def converse(connection: socket.socket) -> None:
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        with stream:
            line = Line(stream)
            while answered(line, options.body):
                pass
            total.add(line.tally)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threads.append(threading.Thread(target=converse, args=(connection,), daemon=True))
            threads[-1].start()

    with socket.create_server((options.host, options.port), backlog=1024) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
        for thread in threads:
            thread.join()
        total.print()


def connected(options: argparse.Namespace) -> Line:
    stream = socket.create_connection((options.host, options.port))
    stream.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    if options.ca:
        context = ssl.create_default_context(cafile=options.ca)
        stream = context.wrap_socket(stream, server_hostname="127.0.0.1")
    return Line(stream)


def make(options: argparse.Namespace) -> None:
    """Makes the calls. All connections are open from before the first call until after the last."""
    total, ready, done = Total(), *(threading.Barrier(options.connections) for _ in range(2))

    def converse(number: int) -> None:
        line = connected(options)
        with line.stream:
            ready.wait()
            for n in range(options.calls):
                call(line, f"{options.name}-{number}-{n}")
            done.wait()
        total.add(line.tally)

    threads = [threading.Thread(target=converse, args=(n,)) for n in range(options.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total.print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--body", type=int, default=100, help="bytes of text in each answer")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--ca", help="speak TLS and trust this certificate")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--calls", type=int, default=1, help="of each connection, one after the other")
    parser.add_argument("--name", default="call", help="what the calls' names begin with")
    options = parser.parse_args()
    serve(options) if options.role == "server" else make(options)


if __name__ == "__main__":
    main()
