"""Views whose ends are not known yet: TLS that is fed from memory names its socket after its first calls.

| view                      | event                                      | next                    |
|---------------------------|--------------------------------------------|-------------------------|
| of a TLS library, no ends | complete                                   | held                    |
| any other                 | complete                                   | passed on               |
| held                      | its connection's ends are known            | passed on, with them    |
| held                      | the connection ends, HOLD_NS, MOST, finish | passed on, without ends |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.events import Address, ConnectionKey
from agent.identity.directory import Directory
from agent.views import PLAIN, Settled

HOLD_NS = 1_000_000_000  # most objects are bound to their socket by their second call
MOST = 256  # views, each with up to two bodies

Ends = Callable[[ConnectionKey], tuple[Address | None, Address | None]]
"""The ends of a connection as known now: local and peer."""


class LateEnds:
    """In the order of completion. `ends` are asked for again with each event that may have taught them."""

    def __init__(self, ends: Ends, directory: Directory) -> None:
        self._ends, self._directory = ends, directory
        self._held: deque[Settled] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, view: Settled) -> Iterator[Settled]:
        """A view that is complete; those that are passed on now."""
        if view.peer is not None or view.connection.connection.source in PLAIN:
            yield view
            return
        self._held.append(view)
        if len(self._held) > MOST:
            yield self._held.popleft()

    def due(self, now_ns: int) -> Iterator[Settled]:
        """Those that are passed on at `now_ns`: their ends are known, or they have waited long enough."""
        for _ in range(len(self._held)):
            view = self._held.popleft()
            known = self._with_ends(view)
            if known.peer is not None or now_ns - view.now_ns >= HOLD_NS:
                yield known
            else:
                self._held.append(view)

    def end(self, key: ConnectionKey) -> Iterator[Settled]:
        """Those of a connection that is about to end, after which nobody knows its ends."""
        for _ in range(len(self._held)):
            view = self._held.popleft()
            if view.connection.connection == key:
                yield self._with_ends(view)
            else:
                self._held.append(view)

    def finish(self) -> Iterator[Settled]:
        """All that are left."""
        while self._held:
            yield self._with_ends(self._held.popleft())

    def _with_ends(self, view: Settled) -> Settled:
        local, peer = self._ends(view.connection.connection)
        if peer is None:
            return view
        return replace(
            view,
            connection=replace(view.connection, local=local, peer=peer),
            local=self._directory.endpoint(local, view.process),
            peer=self._directory.peer(peer),
        )
