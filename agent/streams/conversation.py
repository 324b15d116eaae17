"""What reads one connection, whatever it speaks: what the table and the protocols above it agree on."""

from __future__ import annotations

from typing import Protocol, TypeVar

from agent.events import Address, ConnectionKey, Direction, Role
from agent.frozen import dataclass
from agent.ledger import Bytes
from agent.streams.half import Segment

Fact = TypeVar("Fact")


class Conversation(Protocol[Fact]):
    """Segments of both halves in, facts out. It counts every byte of Data it receives; the table counts
    what else comes. Missing bytes are counted where they were lost.
    """

    @property
    def verdict(self) -> Bytes | None:
        """The bucket for all further bytes, once nothing more will be read here."""
        ...

    @property
    def successor(self) -> Conversation[Fact] | None:
        """The conversation that goes on from here: the protocol is known now, or has changed. It has been
        handed all that was received; this one is over.
        """
        ...

    @property
    def role(self) -> Role | None:
        """What the watched process is, as far as the protocol tells."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether `advance` may have a fact when time has passed."""
        ...

    @property
    def held(self) -> int:
        """Bytes of memory kept, roughly."""
        ...

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Fact]:
        """The facts that the next segments of one half complete."""
        ...

    def advance(self, now_ns: int) -> list[Fact]:
        """The facts that are complete because time has come to `now_ns`."""
        ...

    def end(self, *, closed: bool, leftover: Bytes) -> list[Fact]:
        """What is left. `closed`: the connection ended, else it is no longer watched. Bytes that belong to
        no message are counted in `leftover`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What is known of a connection when a fact of it is complete; addresses may come late. `pid` is of the
    last chunk; `role` is what the watched process is.
    """

    connection: ConnectionKey
    pid: int | None
    local: Address | None
    peer: Address | None
    role: Role | None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """Nothing more of this connection will be read: what still comes of it is counted in `bucket`, and a
    live source may stop sending it.
    """

    connection: ConnectionKey
    bucket: Bytes
