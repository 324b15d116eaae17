"""Connections that are not read any more: only positions are kept, so that every byte is counted once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from agent.events import Chunk, ConnectionKey, Direction
from agent.ledger import Bytes

Positions = dict[Direction, int]


@dataclass(slots=True)
class Past:
    """`bucket` is None where the connection was evicted and may be read again, as a late join. `last_ns` is
    the time of its last event.
    """

    bucket: Bytes | None
    positions: Positions
    last_ns: int


class Finished:
    """At most `most` connections; the one not heard of for longest is forgotten."""

    def __init__(self, most: int, counts: Counter[str]) -> None:
        self._most = most
        self._counts = counts
        self._past: OrderedDict[ConnectionKey, Past] = OrderedDict()

    def __len__(self) -> int:
        return len(self._past)

    def add(self, connection: ConnectionKey, past: Past) -> None:
        """The connection is not read from now on."""
        self._past[connection] = past
        if len(self._past) > self._most:
            self._past.popitem(last=False)

    def forget(self, connection: ConnectionKey) -> None:
        """The connection has ended, or begins anew."""
        self._past.pop(connection, None)

    def clear(self) -> None:
        """Forgets all."""
        self._past.clear()

    def count(self, chunk: Chunk) -> bool:
        """Whether `chunk` is of a dismissed connection; its bytes are counted then."""
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
        """What is known of an evicted connection, which is read again."""
        return self._past.pop(connection, None)
