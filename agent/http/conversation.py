"""What the conversations of HTTP share, and what one hands to the next."""

from __future__ import annotations

from collections import Counter

from agent.events import Direction, Role
from agent.frozen import dataclass
from agent.http.h1.memory import Heads
from agent.http.messages import Exchange
from agent.streams.half import Segment

ROLES = {Direction.SENT: Role.CLIENT, Direction.RECEIVED: Role.SERVER}
"""What the watched process is, by the direction of the requests."""


@dataclass(slots=True)
class Shared:
    """One for all connections of a table. `counts` are the ledger's bytes; `body_cap` is how much of each
    body is kept.
    """

    counts: Counter[str]
    body_cap: int
    heads: Heads


@dataclass(frozen=True, slots=True)
class HalfStart:
    """One half where a protocol begins. `whole`: seen from its first byte; `lost_ns`: when the last hole
    before this was; `unread`: what was received and belongs to this protocol.
    """

    whole: bool
    lost_ns: int | None
    unread: list[Segment]


@dataclass(frozen=True, slots=True)
class Handover:
    """All that a conversation begins with. `request_direction` is None where a late join leaves it to be
    found out; `late`: the connection is older than the source; `upgrade`: the exchange by which it came
    to this protocol, where one did.
    """

    request_direction: Direction | None
    late: bool
    halves: dict[Direction, HalfStart]
    upgrade: Exchange | None = None
