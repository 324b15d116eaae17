"""Slow or numerous clients do not keep others out: over real sockets, with each bound made small."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server import connections
from server.connections import CloseReason, ConnectionBounds, Connections, protocol
from server.listening import bind
from tests.server.running import wait_for

HALF_HEAD = b"GET / HTTP/1.1\r\nhost: h\r\n"
HEAD = HALF_HEAD + b"\r\n"
LARGE = 64 * 1024 * 1024  # more than sockets buffer
NEVER_S = 3600.0


class App:
    """Answers with the request; `/wait` once `go` is set, `/large` with more than a socket buffers."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.waits = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            self.waits.set()
            await asyncio.to_thread(self.go.wait)
        while (await receive()).get("more_body"):
            pass
        size = LARGE if scope["path"] == "/large" else 5
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})


class Server:
    def __init__(self, app: App, room: Connections, port: int) -> None:
        self.app, self.room = app, room
        self._port = port
        self.clients: list[socket.socket] = []

    def connect(self, *sent: bytes) -> socket.socket:
        """A client that has sent this much."""
        client = socket.create_connection(("127.0.0.1", self._port), 60)
        self.clients.append(client)
        client.sendall(b"".join(sent))
        return client

    def is_answered(self) -> bool:
        return answer(self.connect(HEAD)).startswith(b"HTTP/1.1 200")


def answer(client: socket.socket) -> bytes:
    """Reads to the end of a small response, or of the connection."""
    found = b""
    while not found.endswith(b"xxxxx"):
        try:
            piece = client.recv(65536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece
    return found


def looked(server: Server, times: int = 1) -> None:
    """Waits until the server has checked for late clients this often."""
    after = server.room.sweeps + times
    wait_for(lambda: server.room.sweeps >= after or server.room.open == 0, "look at who is late")


@contextmanager
def serving(bounds: ConnectionBounds | None = None) -> Iterator[Server]:
    app, room = App(), Connections(bounds)
    listener = bind("127.0.0.1", 0, room)
    config = uvicorn.Config(app, http=protocol(room), ws="none", log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    found = Server(app, room, listener.getsockname()[1])
    try:
        wait_for(lambda: server.started, "server")
        yield found
    finally:
        app.go.set()
        for client in found.clients:
            client.close()
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All timeouts are infinite except those that a test sets."""
    for name in ("HEAD_S", "BODY_S", "UNREAD_S"):
        monkeypatch.setattr(connections, name, NEVER_S)
    monkeypatch.setattr(connections, "SWEEP_S", 0.01)
    return monkeypatch


@pytest.mark.parametrize("sent", [b"", HALF_HEAD])
def test_a_head_that_does_not_come_ends_the_connection(bounds: pytest.MonkeyPatch, sent: bytes) -> None:
    bounds.setattr(connections, "HEAD_S", 0.2)
    with serving() as server:
        assert answer(server.connect(sent)) == b""
        assert server.room.closed == {CloseReason.SLOW_HEAD: 1}
        assert server.is_answered()


def test_a_head_byte_by_byte_gains_no_time(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "HEAD_S", 0.2)
    with serving() as server:
        client = server.connect(b"GET / HTTP/1.1\r\nx: ")
        while not server.room.closed:
            with suppress(OSError):
                client.sendall(b"y")
            looked(server)
        wait_for(lambda: server.room.closed == {CloseReason.SLOW_HEAD: 1}, "end of the connection")


def test_the_second_head_of_a_connection_has_the_time_of_the_first(bounds: pytest.MonkeyPatch) -> None:
    with serving() as server:
        client = server.connect(HEAD)
        assert answer(client)
        bounds.setattr(connections, "HEAD_S", 0.1)
        client.sendall(HALF_HEAD)
        assert answer(client) == b""
        assert server.room.closed == {CloseReason.SLOW_HEAD: 1}


def test_a_body_that_does_not_come_ends_the_connection(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "BODY_S", 0.2)
    with serving() as server:
        client = server.connect(HALF_HEAD, b"content-length: 10\r\n\r\n12345")
        assert answer(client) == b""
        assert server.room.closed == {CloseReason.SLOW_BODY: 1}


def test_what_was_sent_of_a_body_buys_time_for_the_rest(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "BODY_S", 0.01)
    bounds.setattr(connections, "BYTES_PER_S", 1)
    with serving() as server:
        client = server.connect(HALF_HEAD, b"content-length: 2000\r\n\r\n", b"1" * 1000)
        looked(server, 10)
        client.sendall(b"2" * 1000)
        assert answer(client)
        assert not server.room.closed


def test_a_body_that_the_server_does_not_read_is_not_late(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "BODY_S", 0.05)
    size = 200_000
    with serving() as server:
        head = f"POST /wait HTTP/1.1\r\nhost: h\r\ncontent-length: {size + 1}\r\n\r\n".encode()
        client = server.connect(head, b"1" * size)
        server.app.waits.wait()
        looked(server, 20)
        assert not server.room.closed
        client.sendall(b"2")
        server.app.go.set()
        assert answer(client)


def test_an_answer_that_is_not_taken_ends_the_connection(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "UNREAD_S", 0.3)
    with serving() as server:
        server.connect(b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n")
        wait_for(lambda: server.room.closed == {CloseReason.UNREAD: 1}, "end of the connection")
        wait_for(lambda: server.room.open == 0, "room")
        assert server.is_answered()


def test_a_slow_answer_of_the_server_is_nobodys_fault(bounds: pytest.MonkeyPatch) -> None:
    bounds.setattr(connections, "UNREAD_S", 0.05)
    with serving() as server:
        client = server.connect(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n")
        server.app.waits.wait()
        looked(server, 20)
        server.app.go.set()
        assert answer(client)
        assert not server.room.closed


def test_where_all_places_are_taken_who_waits_longest_makes_room(bounds: pytest.MonkeyPatch) -> None:
    with serving(ConnectionBounds(connections=3)) as server:
        asking = server.connect(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n")
        server.app.waits.wait()
        slow = [server.connect(HALF_HEAD) for _ in range(2)]
        wait_for(lambda: server.room.open == 3, "all connections")
        assert server.is_answered()
        assert answer(slow[0]) == b""
        for _ in range(50):
            assert server.is_answered()
        assert server.room.open <= 3
        server.app.go.set()
        assert answer(asking)
        assert set(server.room.closed) == {CloseReason.DISPLACED}


def test_nobody_whose_request_is_under_way_is_displaced(bounds: pytest.MonkeyPatch) -> None:
    with serving(ConnectionBounds(connections=1)) as server:
        asking = server.connect(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n")
        server.app.waits.wait()
        assert answer(server.connect(HEAD)) == b""
        assert server.room.closed == {CloseReason.TURNED_AWAY: 1}
        server.app.go.set()
        assert answer(asking)


@pytest.mark.parametrize("descriptors", [16, 64, 256, 1024, 4096, 1_048_576])
def test_connections_leave_descriptors_for_the_rest(descriptors: int) -> None:
    bounds = ConnectionBounds.of(descriptors)
    assert bounds.at_once >= 1
    assert bounds.connections >= min(6, descriptors)
    assert 1 <= bounds.handshakes <= bounds.connections // 2
    files = max(descriptors // 2, descriptors - connections.RESERVED)
    assert bounds.connections + 2 * bounds.at_once <= files
