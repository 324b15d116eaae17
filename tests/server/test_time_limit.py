"""A service that sends slowly, and never ends, is given up within the total time of a fetch."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path

import pytest

from server import fetching
from server.fetching import FetchFailed
from tests.e2e import certificates

PACE_S = 0.02  # between two pieces: each read ends long before its own timeout
TOTAL_S = 0.5
PATIENCE_S = 20.0  # the service gives up: the fetch did not end by itself

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


class Slow:
    """A service that answers each connection with `start` and then one of `pieces` after the other."""

    def __init__(self, start: bytes, pieces: bytes, context: ssl.SSLContext | None) -> None:
        self.start, self.pieces, self.context = start, pieces, context
        self.over = threading.Event()
        self.left = threading.Event()  # the client closed, while pieces were sent
        self.connections = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.listening.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):  # closed at the end
            while True:
                connection, _ = self.listening.accept()
                self.connections += 1
                with connection:
                    self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(65_536)
                for piece in chain([self.start], repeat(self.pieces)):
                    connection.sendall(piece)
                    if self.over.wait(PACE_S):
                        return
        except OSError:
            self.left.set()


@contextmanager
def slow(start: bytes, pieces: bytes, context: ssl.SSLContext | None = None) -> Iterator[Slow]:
    service = Slow(start, pieces, context)
    thread = threading.Thread(target=service.serve)
    thread.start()
    give_up = threading.Timer(PATIENCE_S, service.over.set)
    give_up.start()
    try:
        yield service
    finally:
        give_up.cancel()
        service.over.set()
        service.listening.shutdown(socket.SHUT_RDWR)
        service.listening.close()
        thread.join()
        give_up.join()


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TOTAL_S", TOTAL_S)


SLOW = {
    "head": (OK + b"x-slow: ", b"a"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "chunk extension": (CHUNKED + b"1;x=", b"a"),
    "trailer": (CHUNKED + b"1\r\na\r\n0\r\nx-slow: ", b"a"),
    "body": (OK + b"content-length: 1000000\r\n\r\n", b"a"),
    "body that ends with its connection": (OK + b"\r\n", b"a"),
}


@pytest.mark.parametrize(("start", "pieces"), SLOW.values(), ids=SLOW)
def test_what_comes_byte_by_byte_is_given_up_in_time(start: bytes, pieces: bytes) -> None:
    with slow(start, pieces) as service:
        with pytest.raises(FetchFailed, match="took longer"):
            fetching.fetched(service.url + "/x", 10_000_000)
        assert not service.over.is_set()
        assert service.left.wait(PATIENCE_S)


def test_so_it_is_over_tls(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with slow(OK + b"x-slow: ", b"a", context) as service:
        with pytest.raises(FetchFailed, match="took longer"):
            fetching.fetched(service.url + "/x", 10_000, verify=False)
        assert not service.over.is_set()


def test_no_further_place_is_tried_when_the_time_is_over() -> None:
    with slow(OK + b"x-slow: ", b"a") as service:
        with pytest.raises(FetchFailed, match="took longer"):
            fetching.fetched(service.url, 10_000)
        assert service.left.wait(PATIENCE_S)
        assert service.connections == 1
