"""Reassembles captured TCP segments into events.

Sequence numbers become positions; retransmitted bytes are dropped, early segments wait. A gap is final once
the other side has acknowledged bytes after it: then the bytes arrived, only the capture missed them, and no
retransmission will come. A connection whose SYN was not seen is a late join.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import OrderedDict
from dataclasses import dataclass, field
from operator import attrgetter

from agent.events import PACKET, Address, Chunk, Closed, ConnectionKey, Direction, Event, Opened, Role
from agent.streams.half import Window
from agent.streams.table import Limits

LIMITS = Limits(window=Window(chunks=0))
"""For the connection table: gaps in these events are final, so it need not wait."""

SEQUENCE = 1 << 32
AFTER_CLOSE_NS = 60 * 1_000_000_000  # for late segments of a closed connection


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. `length` is the payload's, of which `data` is the captured prefix; `ack` is None
    without one. `sequence` is the first byte's, or the SYN's.
    """

    time_ns: int
    source: Address
    target: Address
    sequence: int
    ack: int | None
    syn: bool
    fin: bool
    reset: bool
    data: bytes
    length: int


@dataclass(frozen=True, slots=True)
class ReassemblyBounds:
    """Bounds of memory: flows, and bytes that wait for a gap to be filled, per half and in total."""

    flows: int = 65_536
    held_segments: int = 4096
    half_bytes: int = 4 << 20
    held_bytes: int = 64 << 20
    wait_ns: int = 10 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Piece:
    position: int
    segment: Segment


_position = attrgetter("position")


@dataclass(slots=True)
class _Half:
    """One direction. `base` is the sequence number of position 0, `next` the next expected position."""

    base: int | None = None
    next: int = 0
    acked: int = 0
    fin: int | None = None
    held: list[_Piece] = field(default_factory=list)
    held_bytes: int = 0

    def position(self, sequence: int) -> int:
        """The position of a sequence number: of all possible ones, the nearest to `next`."""
        assert self.base is not None
        ahead = (sequence - self.base - self.next) % SEQUENCE
        return self.next + (ahead - SEQUENCE if ahead >= SEQUENCE // 2 else ahead)

    @property
    def over(self) -> bool:
        return self.fin is not None and self.next >= self.fin


@dataclass(slots=True, eq=False)
class _Flow:
    """`client` sent the SYN or, if none was seen, the first segment."""

    key: ConnectionKey
    client: Address
    server: Address
    from_start: bool
    halves: dict[Address, _Half]
    closed_ns: int | None = None


_Ends = tuple[Address, Address]


class Flows:
    """All connections of a capture. `feed` returns the events that a segment causes."""

    def __init__(self, bounds: ReassemblyBounds | None = None) -> None:
        self._bounds = bounds or ReassemblyBounds()
        self._flows: OrderedDict[_Ends, _Flow] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._flows)

    def feed(self, segment: Segment) -> list[Event]:
        """The events of one segment, in order."""
        out: list[Event] = []
        flow = self._flow(segment, out) if segment.source != segment.target else None
        if flow is None or flow.closed_ns is not None:
            return out
        half, other = flow.halves[segment.source], flow.halves[segment.target]
        if half.base is None:
            half.base = segment.sequence
        first = segment.sequence + 1 if segment.syn else segment.sequence
        if segment.length:
            self._take(flow, half, _Piece(half.position(first), segment), out)
        if segment.fin:
            half.fin = half.position(first) + segment.length
        if segment.ack is not None and other.base is not None:
            other.acked = max(other.acked, other.position(segment.ack))
            self._settle(flow, other, segment.time_ns, out)
        if segment.reset or (half.over and other.over):
            self._close(flow, segment.time_ns, out)
        return out

    def leave(self, segment: Segment) -> list[Event]:
        """Ends the connection of a segment that is not read; what is read of it later is a late join."""
        out: list[Event] = []
        flow = self._flows.pop(_ends_of(segment), None)
        if flow is not None and flow.closed_ns is None:
            self._close(flow, segment.time_ns, out)
        return out

    def finish(self) -> list[Event]:
        """Ends the capture. Connections that one side has ended are reported as closed."""
        out: list[Event] = []
        for flow in self._flows.values():
            if flow.closed_ns is None:
                last = self._flush(flow, out)
                if any(half.over for half in flow.halves.values()):
                    out.append(Closed(last, flow.key))
        self._flows.clear()
        return out

    def _flow(self, segment: Segment, out: list[Event]) -> _Flow | None:
        ends = _ends_of(segment)
        flow = self._flows.get(ends)
        if flow is not None:
            self._flows.move_to_end(ends)
        if segment.syn:
            return self._opened(ends, flow, segment, out)
        if (
            flow is not None
            and flow.closed_ns is not None
            and segment.time_ns - flow.closed_ns > AFTER_CLOSE_NS
        ):
            flow = None
        if flow is None and segment.length:
            flow = self._enter(ends, segment, segment.source, segment.target, False, out)
        return flow

    def _opened(self, ends: _Ends, flow: _Flow | None, segment: Segment, out: list[Event]) -> _Flow:
        first = (segment.sequence + 1) % SEQUENCE
        asked = segment.ack is None
        client, server = (segment.source, segment.target) if asked else (segment.target, segment.source)
        if flow is not None and flow.closed_ns is None:
            half = flow.halves[segment.source]
            if half.base == first or (half.base is None and flow.from_start and client == flow.client):
                half.base = first
                return flow  # retransmitted, or the answer to the SYN
            self._close(flow, segment.time_ns, out)
        flow = self._enter(ends, segment, client, server, True, out)
        flow.halves[segment.source].base = first
        if segment.ack is not None:
            flow.halves[segment.target].base = segment.ack
        out.append(Opened(segment.time_ns, flow.key, client, server, Role.CLIENT))
        return flow

    def _enter(
        self,
        ends: _Ends,
        segment: Segment,
        client: Address,
        server: Address,
        from_start: bool,
        out: list[Event],
    ) -> _Flow:
        name = f"{client.ip} {client.port} {server.ip} {server.port} {segment.sequence}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        before = self._flows.get(ends)
        generation = segment.time_ns if before is None else max(segment.time_ns, before.key.generation + 1)
        key = ConnectionKey(PACKET, int.from_bytes(digest, "big"), generation)
        flow = _Flow(key, client, server, from_start, {client: _Half(), server: _Half()})
        self._flows[ends] = flow
        self._flows.move_to_end(ends)
        if len(self._flows) > self._bounds.flows:
            self._flush(self._flows.popitem(last=False)[1], out)
        return flow

    def _take(self, flow: _Flow, half: _Half, piece: _Piece, out: list[Event]) -> None:
        if piece.position + piece.segment.length <= half.next:
            return  # retransmitted
        if piece.position <= half.next:
            self._emit(flow, half, piece, out)
            self._drain(flow, half, out)
            return
        insort(half.held, piece, key=_position)
        self._hold(half, len(piece.segment.data))
        self._settle(flow, half, piece.segment.time_ns, out)

    def _settle(self, flow: _Flow, half: _Half, now_ns: int, out: list[Event]) -> None:
        """Gives up on gaps that are final, and on those that would exceed the bounds."""
        bounds = self._bounds
        while half.held and (
            half.held[0].position <= half.acked
            or len(half.held) > bounds.held_segments
            or half.held_bytes > bounds.half_bytes
            or self._held_bytes > bounds.held_bytes
            or now_ns - half.held[0].segment.time_ns > bounds.wait_ns
        ):
            self._skip(flow, half, out)

    def _skip(self, flow: _Flow, half: _Half, out: list[Event]) -> None:
        half.next = half.held[0].position
        self._drain(flow, half, out)

    def _drain(self, flow: _Flow, half: _Half, out: list[Event]) -> None:
        ready = 0
        for piece in half.held:
            if piece.position > half.next:
                break
            ready += 1
            self._hold(half, -len(piece.segment.data))
            if piece.position + piece.segment.length > half.next:
                self._emit(flow, half, piece, out)
        del half.held[:ready]

    def _hold(self, half: _Half, size: int) -> None:
        half.held_bytes += size
        self._held_bytes += size

    def _emit(self, flow: _Flow, half: _Half, piece: _Piece, out: list[Event]) -> None:
        segment = piece.segment
        known = half.next - piece.position  # bytes of it that an earlier segment had
        sent = segment.source == flow.client
        out.append(
            Chunk(
                time_ns=segment.time_ns,
                connection=flow.key,
                direction=Direction.SENT if sent else Direction.RECEIVED,
                position=half.next,
                length=segment.length - known,
                data=segment.data[known:],
                pid=None,
                local=flow.client,
                peer=flow.server,
                role=Role.CLIENT if flow.from_start else None,
                from_start=flow.from_start,
            )
        )
        half.next += segment.length - known

    def _flush(self, flow: _Flow, out: list[Event]) -> int:
        """Delivers everything that waits; returns the time of the last."""
        last = 0
        for half in flow.halves.values():
            while half.held:
                last = max(last, half.held[-1].segment.time_ns)
                self._skip(flow, half, out)
        return last

    def _close(self, flow: _Flow, now_ns: int, out: list[Event]) -> None:
        self._flush(flow, out)
        flow.closed_ns = now_ns
        out.append(Closed(now_ns, flow.key))


def _ends_of(segment: Segment) -> _Ends:
    """The key of a segment's connection, the same for both directions."""
    return (
        min(segment.source, segment.target, key=_order),
        max(segment.source, segment.target, key=_order),
    )


def _order(address: Address) -> tuple[str, int]:
    return address.ip, address.port
