"""What HTTP conversations share, and what one hands over to the next."""

from __future__ import annotations

from collections import Counter

from agent.events import Direction, Role
from agent.frozen import dataclass
from agent.http.h1.memory import Heads
from agent.http.messages import Exchange
from agent.streams.half import Segment

ROLES = {Direction.SENT: Role.CLIENT, Direction.RECEIVED: Role.SERVER}
"""The role of the captured process, by the direction of the requests."""


@dataclass(slots=True)
class Shared:
    """Shared by all connections of a table. `counts` is the ledger's bytes; `body_cap` is how much of each
    body is kept, `text_cap` how much of the JSON texts in each half of a WebSocket connection.
    """

    counts: Counter[str]
    body_cap: int
    heads: Heads
    text_cap: int = 0


@dataclass(frozen=True, slots=True)
class HalfStart:
    """One half where a protocol begins. `whole`: captured from its first byte; `lost_ns`: the time of the
    last gap before; `unread`: received bytes that belong to this protocol.
    """

    whole: bool
    lost_ns: int | None
    unread: list[Segment]


@dataclass(frozen=True, slots=True)
class Handover:
    """What a conversation starts with. `request_direction` is None if unknown after a late join; `late`: the
    connection is older than the source; `upgrade`: the exchange that switched to this protocol, if one did.
    """

    request_direction: Direction | None
    late: bool
    halves: dict[Direction, HalfStart]
    upgrade: Exchange | None = None
