"""All connections of a source; those with HTTP are read."""

from __future__ import annotations

from agent.http.conversation import Shared
from agent.http.h1.memory import Heads
from agent.http.messages import Exchange
from agent.http.undecided import Undecided
from agent.ledger import Ledger
from agent.streams.conversation import ConnectionInfo, Conversation
from agent.streams.table import Limits, Table

ObservedExchange = tuple[ConnectionInfo, Exchange]
"""An exchange and its connection."""


def connections(limits: Limits, body_cap: int, ledger: Ledger, text_cap: int = 0) -> Table[Exchange]:
    """The connection table. Its conversations share state, such as the memory of heads, which lives as long
    as the table.
    """
    shared = Shared(ledger.bytes, body_cap, Heads(), text_cap)

    def conversation(from_start: bool) -> Conversation[Exchange]:
        return Undecided(shared, from_start)

    return Table(limits, ledger, conversation)
