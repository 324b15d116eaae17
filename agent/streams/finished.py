"""Connections that are no longer read: only their positions are kept, so that every byte is counted once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from agent.events import Chunk, ConnectionKey, Direction
from agent.ledger import Bytes

Positions = dict[Direction, int]


@dataclass(slots=True)
class Past:
    """`bucket` is None if the connection was evicted; it may be read again, as a late join. `last_ns` is the
    time of its last event.
    """

    bucket: Bytes | None
    positions: Positions
    last_ns: int


class Finished:
    """At most `most` connections; the one without events for longest is forgotten."""

    def __init__(self, most: int, counts: Counter[str]) -> None:
        self._most = most
        self._counts = counts
        self._past: OrderedDict[ConnectionKey, Past] = OrderedDict()

    def __len__(self) -> int:
        return len(self._past)

    def add(self, connection: ConnectionKey, past: Past) -> None:
        """Adds a connection that is no longer read."""
        self._past[connection] = past
        if len(self._past) > self._most:
            self._past.popitem(last=False)

    def forget(self, connection: ConnectionKey) -> None:
        """Removes a connection that has ended or begins anew."""
        self._past.pop(connection, None)

    def clear(self) -> None:
        """Removes all."""
        self._past.clear()

    def count(self, chunk: Chunk) -> bool:
        """Counts the bytes of `chunk` if its connection is dismissed; whether it is."""
        past = self._past.get(chunk.connection)
        if past is None or past.bucket is None:
            return False
        self._past.move_to_end(chunk.connection)
        seen, end = past.positions[chunk.direction], chunk.position + chunk.length
        fresh = min(chunk.length, max(0, end - seen))
        self._counts[past.bucket] += fresh
        if fresh < chunk.length:
            self._counts[Bytes.LATE] += chunk.length - fresh
        past.positions[chunk.direction] = max(seen, end)
        return True

    def resume(self, connection: ConnectionKey) -> Past | None:
        """Removes and returns an evicted connection, which is read again."""
        return self._past.pop(connection, None)
