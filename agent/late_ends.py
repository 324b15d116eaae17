"""Holds views whose ends are not known yet: TLS over memory buffers is bound to its socket after its first
calls.

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
    """Views in the order of completion. `ends` is called again at each event that may have made them
    known.
    """

    def __init__(self, ends: Ends, directory: Directory) -> None:
        self._ends, self._directory = ends, directory
        self._held: deque[Settled] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, view: Settled) -> Iterator[Settled]:
        """Takes a complete view. Returns the views to pass on now."""
        if view.peer is not None or view.connection.connection.source in PLAIN:
            yield view
            return
        self._held.append(view)
        if len(self._held) > MOST:
            yield self._held.popleft()

    def due(self, now_ns: int) -> Iterator[Settled]:
        """The views to pass on at `now_ns`: their ends are known, or they have waited long enough."""
        for _ in range(len(self._held)):
            view = self._held.popleft()
            known = self._with_ends(view)
            if known.peer is not None or now_ns - view.now_ns >= HOLD_NS:
                yield known
            else:
                self._held.append(view)

    def end(self, key: ConnectionKey) -> Iterator[Settled]:
        """The views of a connection that is about to end: its ends will not become known."""
        for _ in range(len(self._held)):
            view = self._held.popleft()
            if view.connection.connection == key:
                yield self._with_ends(view)
            else:
                self._held.append(view)

    def finish(self) -> Iterator[Settled]:
        """All remaining views."""
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
