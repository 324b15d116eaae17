from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest

from agent.timed import TimedReader


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, peers = socket.socketpair()
    with ours, peers:
        yield ours, peers


def test_time_that_is_over_ends_a_read_although_bytes_wait(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, peers = ends
    clock = Clock()
    reader = TimedReader(ours, clock)
    reader.allow(30.0)
    peers.sendall(b"abc")
    assert reader.read(1) == b"a"
    clock.now += 29.0
    assert reader.read(1) == b"b"
    clock.now += 1.0
    with pytest.raises(TimeoutError):
        reader.read(1)


def test_time_is_extended_from_the_end_of_what_was_allowed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, peers = ends
    clock = Clock()
    reader = TimedReader(ours, clock)
    reader.allow(30.0)
    reader.extend(10.0)
    peers.sendall(b"ab")
    clock.now += 39.0
    assert reader.read(1) == b"a"
    clock.now += 1.0
    with pytest.raises(TimeoutError):
        reader.read(1)


def test_a_silent_peer_is_waited_for_no_longer_than_was_allowed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    reader = TimedReader(ends[0])
    reader.allow(0.01)
    with pytest.raises(TimeoutError):
        io.BufferedReader(reader).readline()
