"""An HTTP/2 client on the h2 library, over one persistent connection: reads calls as JSON lines
(tests/e2e/calls.py) from standard input and makes them in order; logs every exchange.

Of a call to /hang/… it reads the first bytes and cancels the stream. A call with another connection number
opens its own connection, as does one after GOAWAY. Trailers of a response are added to its headers in the
log.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Pairs, Payload, peer
from tests.e2e.programs import contexts
from tests.e2e.programs.contexts import Context
from tests.e2e.programs.echo import Log

PATIENCE = 60  # seconds after which a silent server is an error


class Answer:
    """The response on one stream."""

    def __init__(self) -> None:
        self.headers: Pairs = ()
        self.body = b""
        self.over = False

    def take(self, event: Event) -> None:
        if isinstance(event, (ResponseReceived, TrailersReceived)):
            self.headers += tuple((bytes(name), bytes(value)) for name, value in event.headers or ())
        elif isinstance(event, DataReceived):
            self.body += event.data or b""
        elif isinstance(event, (StreamEnded, StreamReset)):
            self.over = True


class Connection:
    """One connection to the server; `closing` once the server has sent GOAWAY."""

    def __init__(self, options: argparse.Namespace, context: Context | None) -> None:
        stream = socket.create_connection(("127.0.0.1", options.port), PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(stream, server_hostname="127.0.0.1") if context else stream
        self._h2 = H2Connection(H2Configuration(header_encoding=None))
        self._authority = f"127.0.0.1:{options.port}".encode()
        self._scheme = b"https" if context else b"http"
        self.closing = False
        self._h2.initiate_connection()
        self._flush()

    def make(self, call: Call) -> Answer:
        number, answer = self._h2.get_next_available_stream_id(), Answer()
        fields = [(b":method", call.method.encode()), (b":scheme", self._scheme)]
        fields += [(b":authority", self._authority), (b":path", call.target)]
        fields += [(name.lower(), value) for name, value in call.headers]
        self._h2.send_headers(number, fields, end_stream=call.body is None)
        self._flush()
        unsent = call.body or b""
        while unsent:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if not room:
                self._hear(number, answer)
                continue
            piece, unsent = unsent[:room], unsent[room:]
            self._h2.send_data(number, piece, end_stream=not unsent)
            self._flush()
        while not answer.over or (call.target.startswith(b"/goaway/") and not self.closing):
            self._hear(number, answer)
            if call.target.startswith(b"/hang/") and answer.body:
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
                self._flush()
                break
        return answer

    def _hear(self, number: int, answer: Answer) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server ended within a response")
        for event in self._h2.receive_data(data):
            if isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
            self.closing = self.closing or isinstance(event, ConnectionTerminated)
            answer.take(event)
        self._flush()

    def _flush(self) -> None:
        if not self.closing and (out := self._h2.data_to_send()):
            self.socket.sendall(out)


def observation(call: Call, connection: Connection, answer: Answer, start_ns: int) -> Observation:
    status = next((value for name, value in answer.headers if name == b":status"), b"0")
    return Observation(
        end="client",
        id=call.id,
        method=call.method,
        target=call.target,
        status=int(status),
        request_headers=call.headers,
        request=Payload.of(call.body or b""),
        response_headers=tuple(pair for pair in answer.headers if pair[0] != b":status"),
        response=Payload.of(answer.body),
        local=peer(*connection.socket.getsockname()[:2]),
        peer=peer(*connection.socket.getpeername()[:2]),
        start_ns=start_ns,
        end_ns=time.time_ns(),
        pid=os.getpid(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", help="speak TLS and trust this certificate")
    contexts.add_option(parser)
    options = parser.parse_args()
    context, log = contexts.client(options, "h2"), Log(options.log)
    connections: dict[int, Connection] = {}
    for line in sys.stdin.buffer:
        call, start_ns = from_line(line), time.time_ns()
        connection = connections.get(call.connection)
        if connection is None or connection.closing:
            connection = connections[call.connection] = Connection(options, context)
        log.write(observation(call, connection, connection.make(call), start_ns))


if __name__ == "__main__":
    main()
