"""The two ends of the self-test's calls: `python -m agent.doctor.talk`, once as server, once as client.

They speak without the agent's parsers, so that a fault there cannot hide itself. Both end when their
standard input does, hence also when the doctor is killed.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader

PLAIN, TLS, H2 = "plain", "tls", "h2"
HERE = "127.0.0.1"
SECONDS = 10.0  # what one read or write may take
MAX_MESSAGE = 64 * 1024
PATH = "/spectap-doctor/"

# RFC 9113: sections 3.4 (preface), 4.1 (frames), 6 (types and flags).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, ACK, END_HEADERS = 1, 1, 4
FRAME = struct.Struct(">BHBBI")  # length (24 bits), type, flags, stream

# RFC 7541: appendix A (indexed fields) and section 6.2.2 (literals without indexing, by name's index).
METHOD_GET, SCHEME_HTTP, STATUS_200 = b"\x82", b"\x86", b"\x88"
AUTHORITY, PATH_FIELD = b"\x01", b"\x04"


def server(certificate: str | None, key: str | None) -> None:
    """Answers on loopback ports of its own, which it prints as a line of JSON; ends with its input."""
    context = None
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    ports = {PLAIN: listen(answer_http1), H2: listen(answer_http2)}
    if context is not None:
        ports[TLS] = listen(answer_http1, context)
    say(ports)
    sys.stdin.read()


def listen(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> int:
    """Accepts connections in a thread, one after the other. Returns the port."""
    listener = socket.create_server((HERE, 0))

    def accept() -> None:
        while True:
            connection = listener.accept()[0]
            connection.settimeout(SECONDS)
            with suppress(OSError, ValueError), secured(connection, context) as channel:
                answer(channel)

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def secured(connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    """The server's end of the connection, with TLS if there is a context; closed where that fails."""
    try:
        return context.wrap_socket(connection, server_side=True) if context else connection
    except OSError:
        connection.close()
        raise


def answer_http1(channel: socket.socket) -> None:
    """One request; what followed PATH comes back as the body."""
    reader = channel.makefile("rb")
    line, _ = read_head(reader)
    body = line.split(b" ")[1].removeprefix(PATH.encode())
    channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    reader.read(1)  # the other end closes first


def answer_http2(channel: socket.socket) -> None:
    """The same over HTTP/2 with prior knowledge, on stream 1."""
    reader = channel.makefile("rb")
    if reader.read(len(PREFACE)) != PREFACE:
        return
    channel.sendall(frame(SETTINGS, 0, 0, b""))
    block = read_frame(reader, HEADERS)
    body = block[block.index(PATH.encode()) + len(PATH) :]
    channel.sendall(
        frame(SETTINGS, ACK, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, STATUS_200)
        + frame(DATA, END_STREAM, 1, body)
    )
    while reader.read(FRAME.size):
        pass


def client() -> None:
    """For each line of JSON {protocol, port, id, authority} makes that call and prints {protocol, error}."""
    for line in sys.stdin:
        wanted = json.loads(line)
        error = None
        try:
            call(wanted["protocol"], wanted["port"], wanted["id"], wanted["authority"])
        except (OSError, ValueError) as problem:
            error = str(problem) or type(problem).__name__
        say({"protocol": wanted["protocol"], "error": error})


def call(protocol: str, port: int, name: str, authority: str | None) -> None:
    """Raises OSError, and ValueError where the answer is not the id that was sent."""
    with socket.create_connection((HERE, port), SECONDS) as connection:
        if protocol == TLS:
            context = ssl.create_default_context(cafile=authority)
            with context.wrap_socket(connection, server_hostname=HERE) as channel:
                got = ask_http1(channel, port, name)
        else:
            got = (ask_http2 if protocol == H2 else ask_http1)(connection, port, name)
    if got != name.encode():
        raise ValueError("the answer was another's")


def ask_http1(channel: socket.socket, port: int, name: str) -> bytes:
    request = f"GET {PATH}{name} HTTP/1.1\r\nHost: {HERE}:{port}\r\nConnection: close\r\n\r\n"
    channel.sendall(request.encode())
    reader = channel.makefile("rb")
    _, fields = read_head(reader)
    return read_exactly(reader, int(fields.get(b"content-length", b"")))


def ask_http2(channel: socket.socket, port: int, name: str) -> bytes:
    """The path comes last in the block, which is how the server finds the id without an HPACK decoder."""
    block = METHOD_GET + SCHEME_HTTP + literal(AUTHORITY, f"{HERE}:{port}") + literal(PATH_FIELD, PATH + name)
    channel.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    got = read_frame(channel.makefile("rb"), DATA)
    channel.sendall(frame(SETTINGS, ACK, 0, b""))
    return got


def literal(name: bytes, value: str) -> bytes:
    """A header field whose value is sent as it is, at most 126 bytes."""
    return name + bytes([len(value)]) + value.encode()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return FRAME.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def read_frame(reader: BufferedReader, wanted: int) -> bytes:
    """The payload of the next frame of this kind."""
    while True:
        high, low, kind, _, _ = FRAME.unpack(read_exactly(reader, FRAME.size))
        payload = read_exactly(reader, (high << 16) + low)
        if kind == wanted:
            return payload


def read_head(reader: BufferedReader) -> tuple[bytes, dict[bytes, bytes]]:
    """The start line and the fields, names in lower case."""
    line = reader.readline(MAX_MESSAGE)
    fields = {}
    while (field := reader.readline(MAX_MESSAGE)) not in (b"\r\n", b""):
        name, _, value = field.partition(b":")
        fields[name.lower()] = value.strip()
    return line, fields


def read_exactly(reader: BufferedReader, size: int) -> bytes:
    got = reader.read(size) if size <= MAX_MESSAGE else b""
    if len(got) < size:
        raise ValueError("the connection ended early, or said more than was asked")
    return got


def say(told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(*(sys.argv[2:4] if len(sys.argv) > 3 else (None, None)))
    else:
        client()
