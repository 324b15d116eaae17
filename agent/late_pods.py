"""Holds views of processes whose pod is not described yet, and leaves out those of pods that opted out.

| view                  | event                 | next                                               |
|-----------------------|-----------------------|----------------------------------------------------|
| of a captured pod, or | complete              | passed on                                          |
| pods are not reported |                       |                                                    |
| of one that opted out | complete              | left out, counted                                  |
| of an unknown pod     | complete              | held                                               |
| held                  | its pod is described  | as above, with its end named                       |
| held                  | HOLD_NS, MOST, finish | passed on as unknown where such pods are captured, |
|                       |                       | else left out; both counted                        |

The kernel leaves out a pod that opted out as soon as its cgroup is known; this is what it copied before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agent.identity.directory import Directory
from agent.identity.pods import Standing
from agent.ledger import Attribution, Exchanges, Ledger
from agent.views import Settled

HOLD_NS = 2_000_000_000  # a watch is behind by less
MOST = 1024  # views, each with up to two bodies


class LatePods:
    """Views in the order of completion."""

    def __init__(self, directory: Directory, ledger: Ledger) -> None:
        self._directory, self._ledger = directory, ledger
        self._held: deque[Settled] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def pass_on(self, views: Sequence[Settled], now_ns: int) -> Sequence[Settled]:
        """The views to pass on now: of these, and of those that were held."""
        if not self._directory.has_pods:
            return views
        due = self._due(now_ns) if self._held else ()
        return [*due, *(view for one in views for view in self._taken(one))]

    def finish(self) -> Sequence[Settled]:
        """The views to pass on of all that are held."""
        held, self._held = self._held, deque()
        return [view for one in held for view in self._given_up(one)]

    def _due(self, now_ns: int) -> Sequence[Settled]:
        found: list[Settled] = []
        for _ in range(len(self._held)):
            view = self._held.popleft()
            if self._standing(view) is not Standing.UNKNOWN:
                found += self._taken(view, was_held=True)
            elif now_ns - view.now_ns >= HOLD_NS:
                found += self._given_up(view)
            else:
                self._held.append(view)
        return found

    def _taken(self, view: Settled, was_held: bool = False) -> Iterator[Settled]:
        standing = self._standing(view)
        if standing is Standing.CAPTURED:
            yield self._named(view) if was_held else view
        elif standing is Standing.OPTED_OUT:
            self._leave_out()
        else:
            self._held.append(view)
            if len(self._held) > MOST:
                yield from self._given_up(self._held.popleft())

    def _given_up(self, view: Settled) -> Iterator[Settled]:
        if not self._directory.captures_unknown:
            self._leave_out()
            return
        self._ledger.pods[Attribution.UNKNOWN] += 1
        yield view

    def _leave_out(self) -> None:
        self._ledger.exchanges.update((Exchanges.PARSED, Exchanges.OPTED_OUT))

    def _standing(self, view: Settled) -> Standing:
        connection = view.connection
        return self._directory.standing(view.process, connection.local, connection.peer)

    def _named(self, view: Settled) -> Settled:
        """With its own end's pod; through a proxy's tunnel it is another's end, which has its name."""
        if view.via is not None:
            return view
        return replace(view, local=self._directory.endpoint(view.connection.local, view.process))
