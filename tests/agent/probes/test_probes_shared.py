"""A socket that a captured process shares with one that is left out: of its bytes the length is reported."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import Chunk, Closed, Direction
from agent.probes.abi import Setting
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import Watch, connected, watching

pytestmark = pytest.mark.root

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 204 No Content\r\n\r\n"
ANSWER = """
import socket, sys
shared = socket.socket(fileno=int(sys.argv[1]))
shared.recv(4096)
shared.sendall(sys.argv[2].encode())
"""
PR_SET_NAME = 15  # prctl(2)
S, R = Direction.SENT, Direction.RECEIVED


def answered_by_another(shared: socket.socket) -> None:
    """Has a process that is not captured read a request from this socket and answer it."""
    argv = [sys.executable, "-c", ANSWER, str(shared.fileno()), RESPONSE.decode()]
    subprocess.run(argv, pass_fds=[shared.fileno()], check=True)


def answered_here(shared: socket.socket) -> None:
    assert shared.recv(4096) == REQUEST
    shared.sendall(RESPONSE)


@contextmanager
def named(name: str) -> Iterator[None]:
    """This thread has another name meanwhile."""
    former = Path("/proc/thread-self/comm").read_text().strip()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, name.encode())
    try:
        yield
    finally:
        libc.prctl(PR_SET_NAME, former.encode())


def lengths(watch: Watch, port: int, direction: Direction) -> list[tuple[int, int, int]]:
    """Position, length and captured bytes of each chunk of a half."""
    return [(one.position, one.length, len(one.data)) for one in watch.half(port, direction)]


def test_what_another_process_passes_in_between_has_its_length_and_place_and_no_bytes() -> None:
    n, m = len(REQUEST), len(RESPONSE)
    with (
        watching(CaptureFilters(only_pids=frozenset({os.getpid()}))) as watch,
        socket.create_server(("127.0.0.1", 0)) as at,
    ):
        client, server = connected(at)
        with client, server:
            port = server.getsockname()[1]
            for answer in (answered_here, answered_by_another, answered_here):
                client.sendall(REQUEST)
                answer(server)
                assert client.recv(4096) == RESPONSE
            watch.until(lambda: len(watch.half(port, S)) == 3, "three answers")
        assert lengths(watch, port, R) == [(0, n, n), (n, n, 0), (2 * n, n, n)]
        assert lengths(watch, port, S) == [(0, m, m), (m, m, 0), (2 * m, m, m)]
        assert {one.pid for way in (S, R) for one in watch.half(port, way)} == {os.getpid()}


def test_after_bytes_of_another_process_alone_a_connection_begins_within() -> None:
    with (
        watching(CaptureFilters(only_pids=frozenset({os.getpid()}))) as watch,
        socket.create_server(("127.0.0.1", 0)) as at,
    ):
        client, server = connected(at)
        with client, server:
            port = server.getsockname()[1]
            for answer in (answered_by_another, answered_here):
                client.sendall(REQUEST)
                answer(server)
                assert client.recv(4096) == RESPONSE
            watch.until(lambda: len(watch.half(port, S)) == 1, "an answer")
        told = watch.half(port, R) + watch.half(port, S)
        assert [(one.position, one.from_start) for one in told] == [(0, False)] * 2
        ended = [one.connection for one in watch.told if isinstance(one, Closed)]
        assert any(
            one.address == told[0].connection.address and one.generation < told[0].connection.generation
            for one in ended
        )


def test_of_a_connection_that_no_captured_process_uses_nothing_is_reported() -> None:
    with (
        watching(CaptureFilters(only_pids=frozenset({1}))) as watch,
        socket.create_server(("127.0.0.1", 0)) as at,
    ):
        client, server = connected(at)
        with client, server:
            client.sendall(REQUEST)
            answered_by_another(server)
            assert client.recv(4096) == RESPONSE
        watch.until(lambda: any(isinstance(one, Closed) for one in watch.told), "its end")
    assert not [one for one in watch.told if isinstance(one, Chunk)]


def test_threads_that_are_left_out_by_name_pass_lengths_too() -> None:
    filters = CaptureFilters(only_names=frozenset({"captured"}))
    with watching(filters) as watch, socket.create_server(("127.0.0.1", 0)) as at:
        client, server = connected(at)
        with client, server:
            port = server.getsockname()[1]
            for name in ("captured", "other", "captured"):
                client.sendall(REQUEST)
                with named(name):
                    answered_here(server)
                assert client.recv(4096) == RESPONSE
            watch.until(lambda: len(watch.half(port, S)) == 3, "three answers")
        n = len(REQUEST)
        assert lengths(watch, port, R) == [(0, n, n), (n, n, 0), (2 * n, n, n)]


def test_of_a_process_that_is_left_out_since_nothing_is_reported_until_it_is_captured_again() -> None:
    with watching(CaptureFilters()) as watch, socket.create_server(("127.0.0.1", 0)) as at:
        client, server = connected(at)
        with client, server:
            port, maps = server.getsockname()[1], watch.source._programs.maps
            for only_pods in (0, 1, 0):  # this process is of no pod
                maps.set(Setting.ONLY_PODS, only_pods)
                client.sendall(REQUEST)
                answered_here(server)
                assert client.recv(4096) == RESPONSE
            watch.until(lambda: len(watch.half(port, S)) == 2, "two answers")
        first, last = watch.half(port, R)
        assert (first.data, last.data) == (REQUEST, REQUEST)
        assert first.connection.generation < last.connection.generation
        assert (first.from_start, last.from_start) == (True, False)
