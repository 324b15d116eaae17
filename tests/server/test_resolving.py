"""A resolver that hangs holds nobody for longer than a fetch may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from server import fetching, resolving
from server.fetching import FetchFailed
from server.resolving import NotInTime, addresses

ENOUGH_S = 20.0


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The resolver hangs until the event is set."""
    over = threading.Event()

    def hangs(*_: Any, **__: Any) -> Any:
        over.wait(ENOUGH_S)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    yield over
    over.set()
    for thread in threading.enumerate():
        if thread.name == "resolving":
            thread.join()


def test_a_fetch_gives_up_a_name_that_is_not_resolved_in_time(
    hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TOTAL_S", 0.2)
    with pytest.raises(FetchFailed, match="took longer"):
        fetching.fetched("http://service.test/openapi.json", 1000)
    assert not hanging.is_set()


def test_names_that_were_given_up_are_bounded_and_make_room_again(hanging: threading.Event) -> None:
    def resolving_now() -> int:
        return sum(thread.name == "resolving" for thread in threading.enumerate())

    for _ in range(resolving.MOST + 5):
        with pytest.raises(NotInTime):
            addresses(b"service.test", 80, 0)
    assert resolving_now() == resolving.MOST
    hanging.set()
    for thread in threading.enumerate():
        if thread.name == "resolving":
            thread.join()
    with pytest.raises(socket.gaierror):
        addresses(b"service.test", 80, ENOUGH_S)


def test_a_host_has_each_of_its_addresses_once() -> None:
    assert addresses(b"127.0.0.1", 80, ENOUGH_S) == ["127.0.0.1"]
