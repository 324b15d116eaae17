"""The live source: drains the kernel's ring every few milliseconds and yields events.

Draining only copies bytes; decoding and /proc come between two drains. TLS libraries are examined, and images
of containers looked up, by threads that may hang alone (examiner.py, image_lookup.py). A process is reported
(ProcessSeen) before its first chunk.
Stopping first disables every program through one setting, then empties the ring; `detach` removes the probes,
which takes the kernel a while.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.events import ConnectionKey, Event, Lost, ProcessGone, ProcessSeen, Tick
from agent.ledger import Bytes, Kernel
from agent.probes import cgroups, decode, processes
from agent.probes.abi import Counter, EventKind, RawEvent, Setting, parse
from agent.probes.attachments import Attachments
from agent.probes.backend import SYSCALLS, Backend
from agent.probes.capability import refusals
from agent.probes.cgroups import Cgroup
from agent.probes.clock import WallClock
from agent.probes.container_images import ContainerImages
from agent.probes.examiner import Examiner
from agent.probes.image_lookup import ImageLookup
from agent.probes.images import Images
from agent.probes.pod_cgroups import MAX_LEVEL
from agent.probes.programs import ProgramError, Programs, Sizes
from agent.probes.source import Unprobed, Watching

DRAIN_INTERVAL = 0.02  # seconds between two drains of the ring
COUNT_INTERVAL = 1_000_000_000  # ns between two reads of the kernel's counters and the wall clock
STOP_NS = 10_000_000_000  # to parse what was captured, when stopping
RESCAN_INTERVAL = 10_000_000_000  # ns between two rounds over all processes, for dlopen
LOOK_INTERVAL = 100_000_000  # ns between looks for processes with new code while events are parsed
HEADROOM = 1024  # bytes the kernel copies beyond the cap: HTTP/2 padding counts as body
MAX_PENDING_BYTES = 16 * 1024 * 1024  # at most, taken in one drain

COUNTED: dict[Counter, str] = {
    Counter.RING_FULL: Bytes.RING_FULL,
    Counter.RING_FULL_EVENTS: Kernel.RING_FULL,
    Counter.UNIX_SOCKET: Bytes.UNIX_SOCKET,
    Counter.NOT_TCP: Bytes.NOT_TCP,
    Counter.FILTERED: Bytes.FILTERED,
    Counter.TLS_CIPHERTEXT: Bytes.TLS_CIPHERTEXT,
    Counter.NOT_HTTP: Bytes.NOT_HTTP,
    Counter.OPAQUE: Bytes.OPAQUE,
    Counter.SAMPLED_OUT: Bytes.SAMPLED_OUT,
    Counter.TABLE_FULL: Bytes.TABLE_FULL,
    Counter.TABLE_FULL_CALLS: Kernel.TABLE_FULL,
}
"""The kernel's counters of bytes in no chunk, and the ledger's bucket for each."""


IGNORED: dict[Bytes, Counter] = {
    Bytes.OPAQUE: Counter.OPAQUE,
    Bytes.TLS_CIPHERTEXT: Counter.TLS_CIPHERTEXT,
}
"""The kernel counter of an ignored connection's bytes; for other buckets NOT_HTTP."""


class SourceError(RuntimeError):
    """This host does not allow capture; the message has one sentence per reason, with its cure."""


@dataclass(frozen=True, slots=True)
class CaptureFilters:
    """What is captured. An empty set does not restrict. `own_port` is the server's, in the agent's network
    namespace; with `own_tls` it speaks TLS, so that its calls may have unknown ports at first.
    """

    only_ports: frozenset[int] = frozenset()
    except_ports: frozenset[int] = frozenset()
    only_pids: frozenset[int] = frozenset()
    except_pids: frozenset[int] = frozenset()
    only_names: frozenset[str] = frozenset()
    only_cgroups: tuple[str, ...] = ()
    except_cgroups: tuple[str, ...] = ()
    own_port: int | None = None
    own_tls: bool = False
    telemetry_port: int | None = None
    """The port the agent itself listens on: never captured."""
    body_cap: int | None = None
    """Bytes copied of each body with a known end; None for all."""
    only_pods: bool = False
    """Only processes in cgroups of pods that are chosen."""
    java: bool = False
    """Whether Java's own TLS is captured."""
    load_all: bool = False
    """Whether all programs are loaded at once, to find out whether the kernel takes them."""


class KernelSource:
    """A LiveSource of the running kernel. Its programs are loaded and attached to sockets at once, disabled,
    to find out whether this host allows them. Raises SourceError, ProgramError and BtfError if not.
    """

    def __init__(
        self, filters: CaptureFilters, sizes: Sizes, cache: Path | None, backend: Backend = SYSCALLS
    ) -> None:
        reasons = [str(reason) for reason in refusals(backend)]
        if reasons:
            raise SourceError(". ".join(reasons))
        try:
            self._cgroups = cgroups.find_all(filters.only_cgroups, filters.except_cgroups)
        except cgroups.CgroupError as error:
            raise SourceError(str(error)) from None
        self._programs = Programs(sizes, cache, backend, java=filters.java, load_all=filters.load_all)
        self._examiner = Examiner(
            Attachments(self._programs.attach_tls, self._programs.detach, self._programs.maps.outside_tls)
        )
        self._lookup = ImageLookup(Images().of)
        self._images = ContainerImages(self._lookup)
        self._pods: dict[Cgroup, bool] = {}
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._known: set[int] = set()
        self._introduced: set[int] = set()  # whose exit must be reported
        self._counted: dict[Counter, int] = {}
        self._looked_ns = 0
        self._unprobed = Unprobed()  # as reported
        self._told = 0  # bytes reported, in chunks or in a bucket
        self._reached = 0  # the time of the last event taken from the ring
        self._stopping = False
        self._deadline = 0
        self.watching = Watching(
            backend=f"{backend.title}, uprobes in TLS libraries",
            is_below_calls=backend.is_below_calls,
            tls_refusal=self._programs.tls_refusal,
        )
        self._programs.maps.set(Setting.DISABLED, 1)
        self._body_cap = filters.body_cap
        self._filter(filters)
        try:
            self.watching.socket_probes = self._programs.attach_sockets()
        except ProgramError:
            for _ in self._programs.close():
                pass
            raise

    def attach(self) -> None:
        """Attaches to everything else present, then enables the programs. Raises ProgramError."""
        self._programs.open_ring(self._receive)
        self._programs.attach_mappings()
        self._examiner.round([*processes.pids()])
        self._examiner.start()
        self._examiner.settle(lambda: self._stopping)
        self._programs.maps.set(Setting.DISABLED, int(self._stopping))
        self._watching()

    def ask_to_stop(self) -> None:
        """Disables capture at once and sets a flag for `events`. Takes no lock, so signal handlers may call
        it.
        """
        self._stopping = True
        self.disable()

    def disable(self) -> None:
        """Disables capture: every program returns at once from now on."""
        self._programs.maps.set(Setting.DISABLED, 1)

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        counter = IGNORED.get(bucket, Counter.NOT_HTTP)
        self._programs.maps.ignore(connection.address, connection.generation, counter)

    def limit(self, *, bodies: bool, one_in: int) -> None:
        if self._body_cap is not None:
            self._programs.maps.set(Setting.BODY_CAP, HEADROOM + (self._body_cap if bodies else 0))
        self._programs.maps.set(Setting.SAMPLE, one_in)

    def choose(self, cgroup: Cgroup, captured: bool | None) -> None:
        if captured is None:
            self._pods.pop(cgroup, None)
        elif cgroup.level < MAX_LEVEL:
            self._pods[cgroup] = captured
        else:
            return
        self._programs.maps.choose_pod(cgroup.id, captured)
        levels = {one.level for one in self._pods}
        self._programs.maps.set(Setting.POD_LEVELS, sum(1 << level for level in levels))

    def events(self) -> Iterator[Event]:
        clock = WallClock(boot_id())
        yield from clock.changed()
        counted = rescanned = time.monotonic_ns()
        ending = False
        while True:
            stopping = self._stopping
            drained = time.monotonic_ns()
            more = self._programs.consume()
            busy = len(self._pending) > 0
            self.watching.drained_bytes = self._pending_bytes
            while self._pending:
                yield from self._facts(self._pending.popleft())
                if time.monotonic_ns() - self._looked_ns >= LOOK_INTERVAL:
                    self._look(time.monotonic_ns())
                if self._stopping and self._late():
                    yield from self._unread()
                    return
            self._pending_bytes = 0
            now = time.monotonic_ns()
            if now - counted >= COUNT_INTERVAL or stopping:
                counted = now
                yield from self._losses(now)
                yield from self._before_probes(now)
                yield from clock.changed()
            if stopping and not more and not busy:
                if ending:
                    yield from self._unaccounted(now)
                    return
                ending = True  # a call that began before capture was disabled may still deliver one event
            if now - rescanned >= RESCAN_INTERVAL:
                rescanned = now
                yield from self._rescan(now)
            self._look(now)
            yield from self._images.late()
            yield Tick(self._reached if more else drained)  # what was handed over until then is processed
            if not busy:
                self._programs.wait(DRAIN_INTERVAL)

    def _late(self) -> bool:
        """Whether stopping has exceeded STOP_NS, counted from the first call."""
        now = time.monotonic_ns()
        self._deadline = self._deadline or now + STOP_NS
        return now > self._deadline

    def _unread(self) -> Iterator[Event]:
        """Counts the pending bytes and those in the ring, which will not be parsed."""
        more, unread = True, 0
        while more or self._pending:
            while self._pending:
                event, _ = parse(self._pending.popleft())
                unread += event.length if event.kind == EventKind.CHUNK else 0
            self._pending_bytes = 0
            more = self._programs.consume()
        now = time.monotonic_ns()
        self._told += unread
        yield Lost(now, Bytes.UNREAD_AT_EXIT, unread)
        yield from self._losses(now)
        yield from self._unaccounted(now)

    def detach(self) -> Iterator[tuple[int, int]]:
        """Removes every probe; yields (done, total)."""
        self._examiner.stop()
        self._lookup.stop()
        for done, total in self._programs.close():
            self.watching.detach_done, self.watching.detach_total = done, total
            yield done, total

    def _receive(self, raw: bytes) -> bool:
        self._pending.append(raw)
        self._pending_bytes += len(raw)
        return self._pending_bytes < MAX_PENDING_BYTES

    def _facts(self, raw: bytes) -> Iterator[Event]:
        event, data = parse(raw)
        self._reached = event.time_ns
        if event.kind == EventKind.EXIT:
            self._known.discard(event.tgid)
            self._introduced.discard(event.tgid)
            self._images.end(event.tgid)
            self._examiner.end(event.tgid, event.time_ns)
            yield ProcessGone(event.time_ns, event.tgid)
            return
        if event.kind == EventKind.EXEC:
            yield self._introduce(event, data)
            return
        if event.kind == EventKind.CHUNK:
            self._told += event.length
            if event.tgid not in self._known:
                yield self._introduce(event)
        told = decode.fact(event, data)
        if told is not None:
            yield told

    def _introduce(self, event: RawEvent, program: bytes = b"") -> ProcessSeen:
        self._known.add(event.tgid)
        self._introduced.add(event.tgid)
        self._examiner.add(event.tgid)
        seen = processes.describe(event.tgid, event.time_ns, event.comm, program)
        return self._images.describe(seen)

    def _rescan(self, now: int) -> Iterator[Event]:
        """Queues every process for examination again, and reports exits that found no room in the ring."""
        running = set(processes.pids())
        self._examiner.round(running)
        for pid in self._introduced - running:
            self._images.end(pid)
            yield ProcessGone(now, pid)
        self._introduced &= running

    def _losses(self, now: int) -> Iterator[Event]:
        for counter, total in self._programs.maps.counters().items():
            fresh = total - self._counted.get(counter, 0)
            self._counted[counter] = total
            if fresh and counter is Counter.RING_FULL_EVENTS:
                self._known.clear()  # exits may be among the lost events: a pid may now be another process
            if fresh and counter in COUNTED:
                what = COUNTED[counter]
                self._told += fresh if isinstance(what, Bytes) else 0
                yield Lost(now, what, fresh)

    def _before_probes(self, now: int) -> Iterator[Event]:
        told, self._unprobed = self._unprobed, sum(self.watching.unprobed.values(), Unprobed())
        fresh = self._unprobed - told
        if fresh != Unprobed():
            yield Lost(now, Kernel.TLS_BEFORE_PROBES, fresh.bytes)
            yield Lost(now, Kernel.CONNECTIONS_BEFORE_PROBES, fresh.connections)

    def _unaccounted(self, now: int) -> Iterator[Event]:
        """Compares the bytes that the programs counted with those reported; they must be equal at the end."""
        unaccounted = self._counted[Counter.SEEN] - self._told
        if unaccounted:
            yield Lost(now, Kernel.UNACCOUNTED, abs(unaccounted))

    def _look(self, now: int) -> None:
        """Has processes with new code examined, also while events wait: a flood keeps no TLS library from
        being attached.
        """
        for pid in self._programs.maps.changed():
            self._examiner.add(pid)
        self._watching()
        self._looked_ns = now

    def _watching(self) -> None:
        examined = self._examiner.examined
        self.watching.libraries, self.watching.failures = examined.libraries, examined.failures
        self.watching.unprobed = examined.unprobed
        self.watching.put_off = self._examiner.put_off
        self.watching.hung = self._examiner.hung() or self._lookup.hung()

    def _filter(self, filters: CaptureFilters) -> None:
        maps = self._programs.maps
        for port in filters.only_ports:
            maps.add_port("only_ports", port)
        own = () if filters.telemetry_port is None else (filters.telemetry_port,)
        for port in (*filters.except_ports, *own):
            maps.add_port("except_ports", port)
        for pid in filters.only_pids:
            maps.add_pid("only_pids", pid)
        for pid in filters.except_pids:
            maps.add_pid("except_pids", pid)
        for name in filters.only_names:
            maps.add_name(name)
        for index, (cgroup, excluded) in enumerate(self._cgroups):
            maps.set_cgroup(index, cgroup, excluded)
        maps.set(Setting.CGROUPS, len(self._cgroups))
        maps.set(Setting.ONLY_CGROUPS, int(bool(filters.only_cgroups)))
        if filters.body_cap is not None:
            maps.set(Setting.BODY_CAP, filters.body_cap + HEADROOM)
        maps.set(Setting.ONLY_PODS, int(filters.only_pods))
        maps.set(Setting.ONLY_PORTS, int(bool(filters.only_ports)))
        maps.set(Setting.PORTS, int(bool(filters.only_ports or filters.except_ports or filters.own_tls)))
        maps.set(Setting.ONLY_PROCESSES, int(bool(filters.only_pids or filters.only_names)))
        if filters.own_port:
            maps.set(Setting.OWN_PORT, filters.own_port)
            maps.set(Setting.OWN_NETNS, processes.netns("self") or 0)


def boot_id() -> str:
    """This boot's random id, which makes pids unique over reboots."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
