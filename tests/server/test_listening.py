"""A process that is out of file descriptors continues to serve, and logs it once."""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from server.connections import CloseReason, Connections
from server.listening import SAY_EVERY_S, HttpListener, bind, raise_descriptor_limit


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def clients(listener: HttpListener, count: int) -> Iterator[list[socket.socket]]:
    found = [socket.create_connection(listener.getsockname()) for _ in range(count)]
    try:
        yield found
    finally:
        for client in found:
            client.close()


def test_who_cannot_be_served_is_closed_and_counted_and_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    room = Connections()
    with bind("127.0.0.1", 0, room) as listener, clients(listener, 12) as waiting:
        listener.clock = lambda: now
        with no_descriptor_left():
            for _ in range(10):
                with pytest.raises(BlockingIOError):
                    listener.accept()
            now += SAY_EVERY_S
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert [client.recv(1) for client in waiting[:11]] == [b""] * 11
        served, _ = listener.accept()
        served.close()
    assert room.closed == {CloseReason.TURNED_AWAY: 11}
    why = os.strerror(errno.EMFILE)
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert said == [f"1 connections were turned away: {why}", f"10 connections were turned away: {why}"]


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        assert raise_descriptor_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
