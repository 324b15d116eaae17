"""The live source of packets, for hosts where eBPF is refused: frames of the ring → segments → events.

It shows less than the kernel's programs: plain HTTP only, and no process. Of a connection whose packets
pass several interfaces one copy is read, since the reassembly takes each byte once; where an address is
translated on the way, there are two connections. Only this network namespace is seen, and of others what
passes it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from agent.capture.ring import PacketRing
from agent.events import Address, ConnectionKey, Event, Lost, Tick
from agent.ledger import Bytes, Kernel
from agent.probes.cgroups import Cgroup
from agent.probes.clock import WallClock
from agent.probes.kernel import CaptureFilters, SourceError, boot_id
from agent.probes.source import Watching
from agent.sources.captures import Frame
from agent.sources.packets import NoSegment, Packets
from agent.sources.tcp import Flows, ReassemblyBounds, Segment

NAME = "packets"
TITLE = "captured packets (AF_PACKET)"
LIMITS = "plain HTTP only, without process names: no TLS, no calls within other network namespaces"

BOUNDS = ReassemblyBounds(flows=16_384, half_bytes=1 << 20, held_bytes=16 << 20)
WAIT = 0.05  # seconds for the next block
COUNT_NS = 1_000_000_000  # between two reads of the kernel's counters and the wall clock
STOP_NS = 10_000_000_000  # to parse what was captured, when stopping
SETTLED_NS = 100_000_000  # after this time a packet's block has been handed over: several times RETIRE_MS
SPREAD = 2_654_435_761  # as in is_sampled_out of bpf/filters.h


@dataclass(frozen=True, slots=True)
class Selection:
    """Which connections are captured, by port; an empty `only` does not restrict. `server` holds the analysis
    server's addresses, which are never captured.
    """

    only: frozenset[int] = frozenset()
    but: frozenset[int] = frozenset()
    server: frozenset[Address] = frozenset()

    def wants(self, segment: Segment) -> bool:
        ends = {segment.source.port, segment.target.port}
        if ends & self.but or (self.only and not ends & self.only):
            return False
        return not self.server or (segment.source not in self.server and segment.target not in self.server)


def selection(filters: CaptureFilters, server: frozenset[Address]) -> Selection:
    """What these filters select. Raises SourceError for those that packets cannot meet."""
    unmet = {
        "--process": filters.only_names,
        "--pid": filters.only_pids,
        "--exclude-pid": filters.except_pids - {os.getpid()},
        "--cgroup": filters.only_cgroups,
        "--exclude-cgroup": filters.except_cgroups,
    }
    given = [name for name, values in unmet.items() if values]
    if given:
        raise SourceError(f"packets name no process, so {', '.join(given)} cannot be applied: filter by port")
    own = frozenset(port for port in (filters.own_port, filters.telemetry_port) if port)
    return Selection(filters.only_ports, filters.except_ports | own, server)


class PacketSource:
    """A LiveSource of this network namespace's packets. Raises SourceError if there can be none."""

    def __init__(
        self, filters: CaptureFilters, ring_bytes: int, server: frozenset[Address] = frozenset()
    ) -> None:
        self._selection = selection(filters, server)
        try:
            self._ring = PacketRing(ring_bytes)
        except OSError as error:
            raise SourceError(
                f"no packet socket can be opened ({error.strerror}); give CAP_NET_RAW"
            ) from None
        self.watching = Watching(backend=TITLE, limits=LIMITS, is_below_calls=True)
        self._packets, self._flows = Packets(), Flows(BOUNDS)
        self._offset = 0  # ns of the wall clock ahead of the monotonic one
        self._reached = 0
        self._one_in = 1
        self._lost: Counter[str] = Counter()
        self._stopping = False

    def attach(self) -> None:
        """Captures from here on."""
        self._ring.start()

    def ask_to_stop(self) -> None:
        """Takes no lock, so signal handlers may call it."""
        self._stopping = True
        self.disable()

    def disable(self) -> None:
        """Captures no more packets."""
        self._ring.stop()

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        """Nothing to tell the kernel: the pipeline counts the bytes of dismissed connections."""

    def limit(self, *, bodies: bool, one_in: int) -> None:
        """Bodies come along in any case; the pipeline leaves them out."""
        self._one_in = one_in

    def choose(self, cgroup: Cgroup, captured: bool | None) -> None:
        """Packets name no process: the pipeline leaves out pods by their addresses."""

    def events(self) -> Iterator[Event]:
        clock = WallClock(boot_id())
        yield from self._clocks(clock)
        counted = quiet = time.monotonic_ns()
        ended: int | None = None  # when stopping began
        while True:
            now = time.monotonic_ns()
            if self._stopping and ended is None:
                ended = quiet = now
            block = self._ring.block()
            self._reached = max(self._reached, now - SETTLED_NS if block is None else 0)
            for frame in block or ():
                yield from self._facts(frame, now, unread=ended is not None and now - ended > STOP_NS)
            quiet = quiet if block is None else now
            if now - counted >= COUNT_NS or ended is not None:
                counted = now
                yield from self._losses(now)
                yield from self._clocks(clock)
            if ended is not None and now - quiet > SETTLED_NS:
                yield from self._flows.finish()
                return
            yield Tick(self._reached)
            if block is None:
                self._ring.wait(WAIT)

    def detach(self) -> Iterator[tuple[int, int]]:
        """Closes the socket."""
        self._ring.close()
        yield 1, 1

    def _clocks(self, clock: WallClock) -> Iterator[Event]:
        for changed in clock.changed():
            self._offset = changed.offset_ns
            yield changed

    def _facts(self, frame: Frame, now: int, unread: bool) -> Iterator[Event]:
        """The events of a packet. Its time is the wall clock's, so it is bounded: events never go back."""
        self._reached = min(max(self._reached, frame.time_ns - self._offset), now)
        try:
            segment = self._packets.segment(self._reached, frame.link, frame.data, frame.length)
        except NoSegment as error:
            self._lost[Kernel.UNREADABLE_PACKETS] += error.broken
            return
        left_out = self._left_out(segment, unread)
        if left_out is None:
            yield from self._flows.feed(segment)
            return
        self._lost[left_out] += segment.length
        if left_out is Bytes.SAMPLED_OUT:
            yield from self._flows.leave(segment)

    def _left_out(self, segment: Segment, unread: bool) -> Bytes | None:
        """The bucket of a segment that is not read; None if it is."""
        if not self._selection.wants(segment):
            return Bytes.FILTERED
        if unread:
            return Bytes.UNREAD_AT_EXIT
        return Bytes.SAMPLED_OUT if self._one_in > 1 and is_sampled_out(segment, self._one_in) else None

    def _losses(self, now: int) -> Iterator[Event]:
        self._lost[Kernel.RING_FULL] += self._ring.dropped()
        for bucket, count in self._lost.items():
            if count:
                yield Lost(now, bucket, count)
        self._lost.clear()


def is_sampled_out(segment: Segment, one_in: int) -> bool:
    """Whether a connection is left out of the sample: decided as in bpf/filters.h, so by all agents alike."""
    one, other = segment.source.port, segment.target.port
    return (((one + other) ^ (one * other)) * SPREAD % 2**32 >> 16) % one_in != 0
