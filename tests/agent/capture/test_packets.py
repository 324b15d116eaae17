"""The source of packets, on this machine's loopback, with real connections."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from agent.capture import packets
from agent.capture.packets import PacketSource, is_sampled_out, selection
from agent.events import Address, Chunk, Closed, Direction, Event, Lost, Opened, Role
from agent.ledger import Bytes, Kernel
from agent.probes.kernel import CaptureFilters, SourceError
from agent.sources.captures import Frame
from agent.sources.packets import RAW
from agent.sources.tcp import Segment

PATIENCE = 60.0
RING = 4 << 20


@dataclass(slots=True)
class Seen:
    """A source, and its events so far."""

    source: PacketSource
    events: Iterator[Event]
    told: list[Event] = field(default_factory=list)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, what
            self.told.append(next(self.events))

    def rest(self) -> None:
        self.source.ask_to_stop()
        self.told += self.events

    def half(self, port: int, direction: Direction) -> bytes:
        """The bytes of the connection from `port`; asserts that none is missing or there twice."""
        data = b""
        for chunk in self.told:
            if isinstance(chunk, Chunk) and chunk.direction is direction and port in ports(chunk):
                assert chunk.position == len(data)
                data += chunk.data
        return data

    def lost(self, bucket: str) -> int:
        return sum(event.count for event in self.told if isinstance(event, Lost) and event.what == bucket)

    def closed(self) -> bool:
        return any(isinstance(event, Closed) for event in self.told)


def ports(event: Opened | Chunk) -> set[int]:
    return {end.port for end in (event.local, event.peer) if end}


@contextmanager
def seeing(
    filters: CaptureFilters, ring_bytes: int = RING, server: frozenset[Address] = frozenset()
) -> Iterator[Seen]:
    source = PacketSource(filters, ring_bytes, server)
    source.attach()
    try:
        yield Seen(source, source.events())
    finally:
        source.disable()
        assert list(source.detach()) == [(1, 1)]


@contextmanager
def pair(host: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket, int]]:
    """Both ends of a connection, and the client's port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
    with client, server:
        yield client, server, client.getsockname()[1]


def exchange(client: socket.socket, server: socket.socket, sent: bytes, answered: bytes) -> None:
    for one, other, data in ((client, server, sent), (server, client, answered)):
        one.sendall(data)
        left = len(data)
        while left:
            left -= len(other.recv(left))


@pytest.mark.root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_byte_of_a_connection_on_loopback_is_seen_once_and_in_order(host: str) -> None:
    with socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as listener:
        port = listener.getsockname()[1]
        with seeing(CaptureFilters(only_ports=frozenset({port}))) as seen:
            with socket.create_connection((host, port)) as client, listener.accept()[0] as server:
                mine = client.getsockname()[1]
                exchange(client, server, b"a" * 300, bytes(range(256)) * 800)
            seen.until(seen.closed, "the end")
    assert seen.half(mine, Direction.SENT) == b"a" * 300
    assert seen.half(mine, Direction.RECEIVED) == bytes(range(256)) * 800
    (opened,) = [event for event in seen.told if isinstance(event, Opened)]
    assert (opened.local, opened.peer, opened.role) == (Address(host, mine), Address(host, port), Role.CLIENT)
    times = [event.time_ns for event in seen.told if isinstance(event, Opened | Chunk | Closed)]
    assert times == sorted(times)


@pytest.mark.root
def test_ports_that_are_not_wanted_and_the_server_are_counted_and_not_seen() -> None:
    with pair() as (wanted, one, mine), pair() as (other, two, theirs), pair() as (own, three, ours):
        server = frozenset({Address("127.0.0.1", three.getsockname()[1])})
        filters = CaptureFilters(except_ports=frozenset({theirs}), only_ports=frozenset({mine, theirs, ours}))
        with seeing(filters, server=server) as seen:
            exchange(other, two, b"b" * 200, b"c" * 100)
            exchange(own, three, b"d" * 1000, b"e" * 2000)
            exchange(wanted, one, b"f" * 10, b"g")
            seen.until(lambda: seen.half(mine, Direction.RECEIVED) == b"g", "the wanted connection")
            seen.rest()
    assert seen.lost(Bytes.FILTERED) >= 3300
    assert {port for event in seen.told if isinstance(event, Chunk) for port in ports(event)} & {
        theirs,
        ours,
    } == set()


@pytest.mark.root
def test_packets_that_find_no_room_are_counted_and_their_bytes_are_missing() -> None:
    with pair() as (client, server, mine), tiny(mine) as seen:
        for _ in range(40):
            exchange(client, server, b"h" * 60_000, b"")
        seen.rest()
    assert seen.lost(Kernel.RING_FULL) > 0
    assert 0 < sum(chunk.length for chunk in chunks(seen)) < 40 * 60_000


def tiny(port: int) -> AbstractContextManager[Seen]:
    """A source of this port with the smallest ring."""
    return seeing(CaptureFilters(only_ports=frozenset({port})), ring_bytes=1)


@pytest.mark.root
def test_a_connection_that_is_left_out_is_ended_and_joined_late_afterwards() -> None:
    with pair() as (client, server, mine), seeing(CaptureFilters(only_ports=frozenset({mine}))) as seen:
        exchange(client, server, b"i" * 10, b"")
        seen.until(lambda: seen.half(mine, Direction.SENT) == b"i" * 10, "the first bytes")
        one_in = next(n for n in range(2, 99) if is_sampled_out(segment(mine, server.getsockname()[1]), n))
        seen.source.limit(bodies=False, one_in=one_in)
        exchange(client, server, b"j" * 20, b"")
        seen.until(lambda: seen.lost(Bytes.SAMPLED_OUT) == 20, "what is left out")
        seen.source.limit(bodies=True, one_in=1)
        exchange(client, server, b"k" * 30, b"")
        seen.until(lambda: chunks(seen)[-1].data == b"k" * 30, "the bytes after it")
        seen.rest()
    assert seen.closed()
    assert chunks(seen)[-1].from_start is False
    assert chunks(seen)[-1].connection != chunks(seen)[0].connection


def chunks(seen: Seen) -> list[Chunk]:
    return [event for event in seen.told if isinstance(event, Chunk)]


def segment(port: int, other: int) -> Segment:
    ends = Address("127.0.0.1", port), Address("127.0.0.1", other)
    return Segment(0, *ends, 0, None, syn=False, fin=False, reset=False, data=b"", length=0)


def test_the_sample_is_that_of_the_kernel_programs() -> None:
    """By hand from is_sampled_out in bpf/filters.h: ((8080 + 50000) ^ (8080 * 50000)) * 2654435761 >> 16."""
    assert [n for n in (2, 4, 16) if is_sampled_out(segment(8080, 50000), n)] == kept_out(8080, 50000)
    assert is_sampled_out(segment(50000, 8080), 4) == is_sampled_out(segment(8080, 50000), 4)


def kept_out(local: int, peer: int) -> list[int]:
    word = 0xFFFFFFFF
    mixed = ((local + peer) & word) ^ ((local * peer) & word)
    return [n for n in (2, 4, 16) if ((mixed * 2654435761 & word) >> 16) % n]


@pytest.mark.parametrize(
    ("filters", "option"),
    [
        (CaptureFilters(only_pids=frozenset({1})), "--pid"),
        (CaptureFilters(except_pids=frozenset({1})), "--exclude-pid"),
        (CaptureFilters(only_names=frozenset({"nginx"})), "--process"),
        (CaptureFilters(only_cgroups=("/a",)), "--cgroup"),
        (CaptureFilters(except_cgroups=("/a",)), "--exclude-cgroup"),
    ],
)
def test_a_filter_that_packets_cannot_meet_is_refused(filters: CaptureFilters, option: str) -> None:
    with pytest.raises(SourceError, match=f"so {option} cannot be applied"):
        selection(filters, frozenset())


def test_the_agents_own_pid_and_ports_are_no_obstacle() -> None:
    own = CaptureFilters(except_pids=frozenset({os.getpid()}), own_port=8080, telemetry_port=9000)
    assert selection(own, frozenset()).but == {8080, 9000}


class Given:
    """Replaces the kernel's ring: one block of these frames."""

    def __init__(self, *frames: Frame) -> None:
        self._blocks = [iter(frames)]

    def block(self) -> Iterator[Frame] | None:
        return self._blocks.pop() if self._blocks else None

    def dropped(self) -> int:
        return 0

    def wait(self, seconds: float) -> None:
        pass

    def stop(self) -> None:
        pass


def of(monkeypatch: pytest.MonkeyPatch, *frames: Frame) -> Seen:
    monkeypatch.setattr(packets, "PacketRing", lambda size: Given(*frames))
    source = PacketSource(CaptureFilters(), RING)
    return Seen(source, source.events())


def test_an_unreadable_packet_is_counted_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = of(monkeypatch, Frame(0, RAW, b"\x45", 1), Frame(0, RAW, b"", 0), Frame(0, RAW, tcp(b"data"), 44))
    seen.until(lambda: bool(chunks(seen)), "the readable one")
    seen.rest()
    assert seen.lost(Kernel.UNREADABLE_PACKETS) == 2


def test_the_end_of_a_cut_packet_is_a_length_without_content(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = of(monkeypatch, Frame(0, RAW, tcp(b"data", length=1000), 1040))
    seen.rest()
    (chunk,) = chunks(seen)
    assert (chunk.data, chunk.length) == (b"data", 1000)


def test_times_neither_go_back_nor_are_yet_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    far = time.time_ns() + 3_600_000_000_000
    seen = of(monkeypatch, Frame(far, RAW, tcp(b"one"), 43), Frame(0, RAW, tcp(b"two", sequence=4), 43))
    seen.rest()
    one, two = chunks(seen)
    assert one.time_ns <= two.time_ns <= time.monotonic_ns()


def tcp(data: bytes, sequence: int = 1, length: int | None = None) -> bytes:
    """An IPv4 datagram with a TCP segment."""
    size = 40 + (len(data) if length is None else length)
    ip = (
        bytes.fromhex("4500")
        + size.to_bytes(2, "big")
        + bytes.fromhex("0000400040060000")
        + bytes(4)
        + bytes([9] * 4)
    )
    head = (1).to_bytes(2, "big") + (2).to_bytes(2, "big") + sequence.to_bytes(4, "big") + bytes(4)
    return ip + head + bytes.fromhex("501000000000") + bytes(2) + data
