"""A source of live events: what the agent's commands need of one, whatever it watches with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import ConnectionKey, Event
from agent.ledger import Bytes


@dataclass(frozen=True, slots=True)
class ProbedFile:
    """A file that holds a TLS library, and how many probes are in it."""

    library: str
    path: str
    probes: int


@dataclass(slots=True)
class Watching:
    """What a source does now, for status pages. `tls_refusal` says why no TLS library is probed."""

    backend: str
    socket_probes: int = 0
    libraries: tuple[ProbedFile, ...] = ()
    tls_refusal: str | None = None
    failures: dict[str, str] = field(default_factory=dict)  # path -> reason
    drained_bytes: int = 0  # what the last drain took from the ring
    put_off: int = 0  # times a process was not looked at for TLS: too many waited
    detach_done: int = 0
    detach_total: int = 0


class LiveSource(Protocol):
    """Attached once, read to its end, detached. All but `ask_to_stop` belongs to one thread."""

    @property
    def watching(self) -> Watching: ...

    def attach(self) -> None:
        """Begins to watch. Raises ProgramError."""
        ...

    def events(self) -> Iterator[Event]:
        """Events in order, a tick when nothing happens; ends after `ask_to_stop`."""
        ...

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        """Nothing more of this connection is wanted; its bytes are counted in `bucket`."""
        ...

    def ask_to_stop(self) -> None:
        """May be called from a signal handler, and by any thread."""
        ...

    def go_dark(self) -> None:
        """Sees nothing from now on."""
        ...

    def detach(self) -> Iterator[tuple[int, int]]:
        """Takes every probe away; yields (done, total)."""
        ...
