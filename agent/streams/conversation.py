"""The interface between the connection table and the protocols above it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from agent.events import Address, ConnectionKey, Direction, Role
from agent.frozen import dataclass
from agent.ledger import Bytes
from agent.streams.half import Segment

Fact = TypeVar("Fact")


class Conversation(Protocol[Fact]):
    """Segments of both halves in, facts out. It counts every byte of Data that it receives; the table counts
    all others. Missing bytes are counted where they were lost.
    """

    @property
    def verdict(self) -> Bytes | None:
        """The bucket of all further bytes, once nothing more will be read; else None."""
        ...

    @property
    def successor(self) -> Conversation[Fact] | None:
        """The conversation that replaces this one, because the protocol is now known or has changed. It has
        received all pending bytes; this one is over.
        """
        ...

    @property
    def role(self) -> Role | None:
        """The role of the captured process, if the protocol shows it."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether `advance` may return a fact later."""
        ...

    @property
    def held(self) -> int:
        """Bytes of memory kept, roughly."""
        ...

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Fact]:
        """The facts that the next segments of one half complete."""
        ...

    def advance(self, now_ns: int) -> list[Fact]:
        """The facts that are complete once the time is `now_ns`."""
        ...

    def end(self, *, closed: bool, leftover: Bytes) -> list[Fact]:
        """The remaining facts. `closed`: the connection ended; else it is no longer captured. Bytes of no
        message are counted in `leftover`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection's attributes when one of its facts is complete; addresses may arrive late. `pid` is the
    last chunk's, `role` the captured process's.
    """

    connection: ConnectionKey
    pid: int | None
    local: Address | None
    peer: Address | None
    role: Role | None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """Nothing more of this connection will be read: its further bytes are counted in `bucket`, and a live
    source may stop sending them.
    """

    connection: ConnectionKey
    bucket: Bytes
