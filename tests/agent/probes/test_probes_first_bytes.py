"""Connections whose first bytes rule out HTTP never leave the kernel; bytes that may be HTTP always do."""

from __future__ import annotations

import socket

import pytest

from agent.events import Chunk
from agent.ledger import Bytes
from agent.streams.sniff import TrafficKind, sniff
from tests.agent.probes.watch import Watch, connected

pytestmark = pytest.mark.root

REQUESTS = [
    b"get / HTTP/1.1\r\n",
    b"x!#$ /odd HTTP/1.0\n",
    b"M-SEARCH * HTTP/1.1\r\n",
    b"*1 / HTTP/1.1\r\n",
    b"220 / HTTP/1.1\r\n",
    b"\r\nGET / HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SEARCH /" + b"a" * 113 + b" HTTP/1.1\r\n",
    b"SEARCH /" + b"a" * 112 + b" HTTP/1.1\n",
    b"get /caf\xe9\t\x01 HTTP/1.1\r\nHost: a\r\n",
    b"get /" + b"a" * 200,
    b"g",
    b"word",
    b"HTTP/1.1 200 OK\r\n",
]
OTHERS = {
    "Redis": b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "Redis in line": b"GET a\r\n",
    "Redis, one word": b"PING\r\n",
    "memcached": b"get a HTTP\r\n",
    "SMTP": b"EHLO mail.example\r\nMAIL FROM:<a@example>\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "MongoDB": b"G\x00\x00\x00\x01\x00\x00\x00",
    "an empty word": b" / HTTP/1.1\r\n",
    "a line one byte too short": b"a HTTP/1\r\n",
    "SMTP's greeting": b"220 mail.example ESMTP\r\n",
    "MySQL's greeting": b"J\x00\x00\x00\x0a8.0.36\x00",
    "a line that ends at the last byte looked at": b"a " + b"b" * 125 + b"\n",
}
POSTGRESQL = b"\x00\x00\x00\x17\x00\x03\x00\x00user\x00a\x00database\x00a\x00\x00"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def handed_over(watch: Watch, sender: socket.socket, receiver: socket.socket, data: bytes) -> list[bytes]:
    """The bytes of `data` that left the kernel at both ends; all others were counted as not HTTP."""
    ports = {sender.getsockname()[1], receiver.getsockname()[1]}
    before, counted = len(watch.told), watch.lost(Bytes.NOT_HTTP)

    def is_ours(chunk: Chunk) -> bool:
        return {end.port for end in (chunk.local, chunk.peer) if end} == ports

    def chunks() -> list[Chunk]:
        return [event for event in watch.told[before:] if isinstance(event, Chunk) and is_ours(event)]

    def told() -> int:
        return sum(chunk.length for chunk in chunks()) + watch.lost(Bytes.NOT_HTTP) - counted

    sender.sendall(data)
    assert receiver.recv(len(data), socket.MSG_WAITALL) == data
    watch.until(lambda: told() >= 2 * len(data), "the bytes at both ends")
    return [chunk.data for chunk in chunks()]


@pytest.mark.parametrize("data", REQUESTS, ids=repr)
def test_what_may_be_http_is_handed_over_whoever_begins(
    watch: Watch, listener: socket.socket, data: bytes
) -> None:
    assert sniff(data) is not TrafficKind.OTHER
    for begins in ("caller", "called"):
        client, server = connected(listener)
        with client, server:
            ends = (client, server) if begins == "caller" else (server, client)
            assert handed_over(watch, *ends, data) == [data] * 2


@pytest.mark.parametrize("begins", ["caller", "called"])
@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_protocols_are_counted_from_their_first_byte(
    watch: Watch, listener: socket.socket, data: bytes, begins: str
) -> None:
    assert sniff(data) is TrafficKind.OTHER
    client, server = connected(listener)
    with client, server:
        one, other = (client, server) if begins == "caller" else (server, client)
        assert handed_over(watch, one, other, data) == []
        assert handed_over(watch, other, one, b"GET / HTTP/1.1\r\n\r\n") == [], "whatever follows"


def test_what_begins_with_a_zero_is_counted_from_the_end_that_called(
    watch: Watch, listener: socket.socket
) -> None:
    client, server = connected(listener)
    with client, server:
        assert handed_over(watch, client, server, POSTGRESQL) == []


def test_settings_of_http2_are_handed_over_from_the_end_that_was_called(
    watch: Watch, listener: socket.socket
) -> None:
    client, server = connected(listener)
    with client, server:
        assert handed_over(watch, server, client, SETTINGS) == [SETTINGS] * 2


def test_what_answers_a_request_rules_nothing_out(watch: Watch, listener: socket.socket) -> None:
    request, answer = b"get / HTTP/1.1\r\n\r\n", b"ICY 200 OK\r\n"
    client, server = connected(listener)
    with client, server:
        assert handed_over(watch, client, server, request) == [request] * 2
        assert handed_over(watch, server, client, answer) == [answer] * 2
