"""Clients that connect to a server over TLS and do not finish their handshake: over real sockets."""

from __future__ import annotations

import gc
import socket
import ssl
import tracemalloc
from asyncio import sslproto
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from server.connections import CloseReason, ConnectionBounds, Connections
from server.listening import bind
from server.tls import BUFFER_BYTES, TlsFiles
from tests.authority import Authority
from tests.server.running import PATIENCE_S, serving, wait_for


class Served:
    """A server over TLS, and its clients."""

    def __init__(
        self, url: httpx.URL, room: Connections, trusting: ssl.SSLContext, opened: ExitStack
    ) -> None:
        self.room = room
        self._url, self._trusting, self._opened = url, trusting, opened

    def silent(self) -> socket.socket:
        """A connection that sends nothing."""
        address = (self._url.host, self._url.port or 443)
        return self._opened.enter_context(socket.create_connection(address, PATIENCE_S))

    def encrypted(self) -> ssl.SSLSocket:
        """A connection after its handshake, without a request."""
        return self._opened.enter_context(
            self._trusting.wrap_socket(self.silent(), server_hostname="localhost")
        )

    def is_answered(self) -> bool:
        answer = httpx.get(self._url.join("/healthz"), verify=self._trusting, trust_env=False)
        return answer.status_code == 200


@pytest.fixture
def bounds() -> ConnectionBounds:
    return ConnectionBounds(connections=4, handshakes=3)


@pytest.fixture
def served(tmp_path: Path, bounds: ConnectionBounds) -> Iterator[Served]:
    authority = Authority()
    files = TlsFiles(tmp_path / "server.crt", tmp_path / "server.key")
    authority.write(files.certificate, files.key, ("127.0.0.1", "localhost"))
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    room = Connections(bounds)
    with serving(tmp_path / "data", connections=room, tls=files) as client, ExitStack() as opened:
        yield Served(client.http.base_url, room, context, opened)


def test_one_handshake_more_than_may_be_under_way_displaces_the_oldest(served: Served) -> None:
    silent = [served.silent() for _ in range(5)]
    assert [one.recv(1) for one in silent[:2]] == [b"", b""]
    assert served.room.closed == {CloseReason.DISPLACED: 2}
    wait_for(lambda: served.room.open == 3, "connections")
    for _ in range(10):
        assert served.is_answered()
    assert silent[2].recv(1) == b""
    assert set(served.room.closed) == {CloseReason.DISPLACED}


def test_a_handshake_takes_little_memory_and_none_once_it_is_over(served: Served) -> None:
    assert served.is_answered()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(20):
            served.silent()
        wait_for(lambda: served.room.closed[CloseReason.DISPLACED] >= 17, "end of handshakes")
        wait_for(lambda: buffered() <= 3 * 2 * BUFFER_BYTES, "memory of three handshakes")
    finally:
        tracemalloc.stop()
        gc.enable()


def buffered() -> int:
    """Bytes that asyncio's TLS holds."""
    of_tls = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, sslproto.__file__)])
    return sum(one.size for one in of_tls.traces)


def test_handshakes_count_as_connections(served: Served) -> None:
    waiting = [served.encrypted() for _ in range(2)]
    wait_for(lambda: served.room.open == 2, "connections")
    for _ in range(3):
        served.silent()
    assert waiting[0].recv(1) == b""
    assert served.room.closed == {CloseReason.DISPLACED: 1}
    wait_for(lambda: served.room.open == 4, "connections")


def test_a_handshake_that_the_client_gives_up_counts_no_longer(served: Served) -> None:
    for _ in range(3):
        gone = served.silent()
        wait_for(lambda: served.room.open == 1, "connection")
        gone.close()
        wait_for(lambda: served.room.open == 0, "end of the connection")
    assert not served.room.closed


def test_a_handshake_is_turned_away_where_nobody_can_be_displaced() -> None:
    room = Connections(ConnectionBounds(connections=0))
    with (
        bind("127.0.0.1", 0, room, tls=True) as listener,
        socket.create_connection(listener.getsockname(), PATIENCE_S) as client,
    ):
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert client.recv(1) == b""
    assert room.closed == {CloseReason.TURNED_AWAY: 1}
    assert room.open == 0
