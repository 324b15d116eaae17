"""An HTTP/2 server on the h2 library: by prior knowledge, by Upgrade from HTTP/1.1, or over TLS.

Prints its port once it listens; logs every exchange that it answered completely. The path's first segment
selects the response: /echo/ID returns the body, /trailers/ID too, followed by trailers; /reset/ID begins a
response and resets the stream; /goaway/ID answers and sends GOAWAY; /hang/ID never ends.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, WindowUpdated

from tests.e2e.observations import AGGREGATION_HEADER, Observation, Pairs, Payload, header, peer
from tests.e2e.programs import contexts
from tests.e2e.programs.contexts import Context
from tests.e2e.programs.echo import Log
from tests.e2e.programs.http_bytes import take

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
TRAILERS = [(b"x-checksum", b"words and numbers"), (b"x-after", b"the body")]


@dataclass
class Stream:
    """A received request, and the unsent rest of its response."""

    headers: Pairs
    body: bytearray = field(default_factory=bytearray)
    start_ns: int = field(default_factory=time.time_ns)
    unsent: bytes = b""
    answering: bool = False

    def pseudo(self, name: str) -> bytes:
        return header(self.headers, name) or b""

    @property
    def kind(self) -> bytes:
        return self.pseudo(":path").split(b"/")[1]

    @property
    def id(self) -> bytes:
        return self.pseudo(":path").partition(b"?")[0].rsplit(b"/", 1)[-1]


class Connection:
    """One connection: bytes in, bytes out, until the peer closes it."""

    def __init__(self, stream: socket.socket, log: Log) -> None:
        self._socket, self._log = stream, log
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._streams: dict[int, Stream] = {}

    def serve(self) -> None:
        data = self._begin()
        while data:
            for event in self._h2.receive_data(data):
                self._on(event)
            self._flush()
            data = self._socket.recv(65536)

    def _begin(self) -> bytes:
        """Handles the preface and the bytes with it; an Upgrade is answered first (RFC 7540 section 3.2)."""
        data = self._socket.recv(65536)
        if data.startswith(b"PRI"):
            self._h2.initiate_connection()
            self._flush()
            return data
        while (found := take(data)) is None:
            data += self._socket.recv(65536)
        message, rest = found
        settings = header(message.headers, "HTTP2-Settings") or b""
        self._socket.sendall(SWITCHING)
        self._h2.initiate_upgrade_connection(settings)
        method, target, _ = message.first
        lower = tuple((name.lower(), value) for name, value in message.headers)
        self._streams[1] = Stream(((b":method", method), (b":path", target), *lower))
        self._streams[1].body += message.payload
        self._answer(1)
        self._flush()
        return rest or self._socket.recv(65536)

    def _flush(self) -> None:
        if out := self._h2.data_to_send():
            self._socket.sendall(out)

    def _on(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            headers = tuple((bytes(name), bytes(value)) for name, value in event.headers or ())
            self._streams[event.stream_id or 0] = Stream(headers)
        elif isinstance(event, DataReceived):
            self._streams[event.stream_id or 0].body += event.data or b""
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamEnded):
            self._answer(event.stream_id or 0)
        elif isinstance(event, WindowUpdated):
            for number in list(self._streams):
                self._send(number)

    def _answer(self, number: int) -> None:
        stream = self._streams[number]
        head = [(b":status", b"200"), (b"content-type", b"application/json")]
        head.append((AGGREGATION_HEADER.lower().encode(), stream.id))
        self._h2.send_headers(number, head)
        stream.unsent, stream.answering = bytes(stream.body) or b'{"id": "%s"}' % stream.id, True
        self._send(number)

    def _send(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None or not stream.answering:
            return
        room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
        while stream.unsent and room > 0:
            self._h2.send_data(number, stream.unsent[:room])
            stream.unsent = stream.unsent[room:]
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
        if not stream.unsent:
            self._finish(number, stream)

    def _finish(self, number: int, stream: Stream) -> None:
        stream.answering = False
        if stream.kind == b"hang":
            return
        del self._streams[number]
        if stream.kind == b"reset":
            self._h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
            return
        if stream.kind == b"trailers":
            self._h2.send_headers(number, TRAILERS, end_stream=True)
        else:
            self._h2.end_stream(number)
        self._flush()
        self._log.write(self._observation(stream))
        if stream.kind == b"goaway":
            self._h2.close_connection(last_stream_id=number)

    def _observation(self, stream: Stream) -> Observation:
        local, remote = self._socket.getsockname(), self._socket.getpeername()
        return Observation(
            end="server",
            id=stream.id.decode(),
            method=stream.pseudo(":method").decode(),
            target=stream.pseudo(":path"),
            status=200,
            request_headers=tuple(pair for pair in stream.headers if not pair[0].startswith(b":")),
            request=Payload.of(bytes(stream.body)),
            response_headers=None,
            response=Payload.of(bytes(stream.body) or b'{"id": "%s"}' % stream.id),
            local=peer(*local[:2]),
            peer=peer(*remote[:2]),
            start_ns=stream.start_ns,
            end_ns=time.time_ns(),
            pid=os.getpid(),
        )


def converse(connection: socket.socket, context: Context | None, log: Log) -> None:
    try:
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        with stream:
            Connection(stream, log).serve()
    except OSError as error:
        sys.stderr.write(f"connection ended: {error}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    contexts.add_option(parser)
    options = parser.parse_args()
    context = contexts.server(options, "h2")
    log, listener = Log(options.log), socket.create_server(("127.0.0.1", options.port))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=converse, args=(connection, context, log), daemon=True).start()


if __name__ == "__main__":
    main()
