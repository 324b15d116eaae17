"""The interface of a live source of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import ConnectionKey, Event
from agent.ledger import Bytes
from agent.probes.cgroups import Cgroup


@dataclass(frozen=True, slots=True)
class ProbedFile:
    """A file with a TLS library, and its number of probes."""

    library: str
    path: str
    probes: int


@dataclass(frozen=True, slots=True)
class Unprobed:
    """TLS on the wire that was not captured: bytes in both directions, and connections they were of."""

    bytes: int = 0
    connections: int = 0

    def __add__(self, other: Unprobed) -> Unprobed:
        return Unprobed(self.bytes + other.bytes, self.connections + other.connections)

    def __sub__(self, other: Unprobed) -> Unprobed:
        """What came since `other`; never less than nothing, as the kernel may have begun to count anew."""
        return Unprobed(max(0, self.bytes - other.bytes), max(0, self.connections - other.connections))


@dataclass(slots=True)
class Watching:
    """A source's state, for the status page. `tls_refusal` says why no TLS library is probed."""

    backend: str
    limits: str | None = None  # a sentence on what this backend cannot capture
    is_below_calls: bool = False  # bytes are observed whatever the system call, so through io_uring too
    refused: Mapping[str, str] = field(default_factory=dict)  # backends before this one -> why not
    socket_probes: int = 0
    libraries: tuple[ProbedFile, ...] = ()
    tls_refusal: str | None = None
    failures: dict[str, str] = field(default_factory=dict)  # path -> reason
    drained_bytes: int = 0  # taken from the ring by the last drain
    put_off: int = 0  # times the examination of a process for TLS was deferred: too many waited
    hung: str | None = None  # a sentence on an examination or a look-up that takes too long
    unprobed: Mapping[str, Unprobed] = field(default_factory=dict)
    """TLS of programs before their library was probed, by the process's name."""
    detach_done: int = 0
    detach_total: int = 0


class LiveSource(Protocol):
    """Attached once, read to its end, detached. Only `ask_to_stop` may be called from other threads."""

    @property
    def watching(self) -> Watching: ...

    def attach(self) -> None:
        """Starts capturing. Raises ProgramError."""
        ...

    def events(self) -> Iterator[Event]:
        """Events in order, ticks when nothing happens; ends after `ask_to_stop`."""
        ...

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        """Stops sending this connection's bytes; they are counted in `bucket`."""
        ...

    def limit(self, *, bodies: bool, one_in: int) -> None:
        """From now on sends bodies or, where framing survives, does not; and one in so many connections: the
        bytes of all others are counted as sampled_out.
        """
        ...

    def choose(self, cgroup: Cgroup, captured: bool | None) -> None:
        """Whether processes in a pod's cgroup are captured from now on, however it is with those around it;
        None: like those. The bytes of others are counted as filtered. A source that knows no processes
        ignores it.
        """
        ...

    def ask_to_stop(self) -> None:
        """May be called from signal handlers and from any thread."""
        ...

    def disable(self) -> None:
        """Disables capture at once."""
        ...

    def detach(self) -> Iterator[tuple[int, int]]:
        """Removes every probe; yields (done, total)."""
        ...
