"""Holds views until their other half arrives. Each view is settled once: counted with its other half, or
alone.

| state | event                                           | next                      | way       |
|-------|-------------------------------------------------|---------------------------|-----------|
| new   | it cannot be paired                             | settled alone             | AT_ONCE   |
| new   | its other half is held                          | settled, both             | PAIRED    |
| new   | its other half is a lone view                   | that is taken back; both  | LATE      |
| new   | neither                                         | held                      |           |
| held  | its other half arrives                          | settled, both             | PAIRED    |
| held  | it is due, and of the held views of its mark    | settled, both             | PAIRED    |
|       | only one can be its other half by now           |                           |           |
| held  | it is due, or its only alike view (alike.py) is | settled, both             | ALIKE     |
| held  | it is due, and its only alike view is lone      | that is taken back; both  | LATE      |
| held  | the watermark is SLACK_NS after its end         | settled alone             | WATERMARK |
| held  | it was held for LIVE_S, or BACKLOG_S            | settled alone             | TIME      |
| held  | it is the oldest of more than MAX_HELD          | settled alone             | MEMORY    |
| held  | the server stops, or work is undone             | held, as the store has it |           |

A view is due that would be settled alone, by WATERMARK, TIME or MEMORY.

Each agent has passed the end of the newest call that it delivered; an agent that delivers only its ledger has
passed the server's current time, less the lag that it reports. The watermark is the minimum over active
agents. For a live view, agents are active that delivered within IDLE_S. For a view from a backlog, all agents
count that delivered within KNOWN_S, since they return one by one after an outage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush

from agent.wire import Record
from server.analysis.likeness import likeness_of
from server.analysis.witnesses import Guess, Pending, View
from server.ingest.likenesses import Likeness

LIVE_S = 2.0  # maximum wait of a live view
BACKLOG_S = 30.0  # maximum wait of a view from a backlog
IDLE_S = 2.0
KNOWN_S = 3600.0
LIVE_NS = 5_000_000_000  # a view is live if it arrived within this time of its end, by the server's clock
SLACK_NS = 1_000_000_000  # tolerance for calls delivered out of order and for clock differences
MAX_HELD = 50_000  # views
MAX_RECORDS = 10_000  # of these, with their record in memory; other records are read from the store
MAX_BYTES = 32 * 1024 * 1024  # of packed records in memory
MAX_AGENTS = 10_000
SPARE = 1000  # a queue may have this many stale entries more than views are held


class SettledBy(StrEnum):
    """Why views were settled when they were. Both views of a call have the same reason."""

    AT_ONCE = "at_once"
    PAIRED = "paired"
    ALIKE = "alike"
    WATERMARK = "watermark"
    TIME = "time"
    MEMORY = "memory"
    LATE = "late"


@dataclass(slots=True)
class Held:
    """A held view. `record` is None if it must be read from the store; `size` is its packed size in bytes;
    `likeness` is that of analysis/likeness.py.
    """

    view: View
    id: str
    record: Record | None
    size: int
    likeness: int | None
    stored: bool = False  # whether the store has it as held
    late: bool = False  # whether lone views of its mark may have been stored before it
    live: bool = False

    @property
    def number(self) -> int:
        return self.view.exchange


@dataclass(slots=True)
class _Agent:
    """The end of the newest call that it delivered (ns), and the time of its last delivery (monotonic, s)."""

    epoch: str
    passed: int
    at: float


class ViewHold:
    """The held views. Runs on the writer's thread. Callers pass the time: `now` is wall time in ns, `at`
    monotonic time in s.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[int, Held] = OrderedDict()  # in order of arrival
        self._new: list[Held] = []  # not in a queue yet
        self._records = self._bytes = 0
        self._pending = Pending()
        self._alike: dict[tuple[int, bool], Likeness] = {}  # by likeness, and whether it is unplaced
        self._agents: dict[tuple[str | None, str], _Agent] = {}  # by cluster and name
        self._live, self._backlog = _Queues(self._held), _Queues(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def match(self, view: View, others: Iterable[View] = ()) -> View | None:
        """The other half of a new view: a held one, which must then be released, or one of `others`."""
        return self._pending.take(view, others)

    def has_opposite(self, view: View) -> bool:
        """Whether a view of the same mark from another side is held."""
        return self._pending.has_opposite(view)

    def match_last(self, view: View, others: Iterable[View]) -> Guess:
        """As `match`, for a view that is due and was released."""
        return self._pending.take_last(view, others)

    def hold(self, view: View, record: Record, size: int, stored: bool = False, late: bool = False) -> None:
        """Holds a view; `size` is the packed size of its record in bytes."""
        held = Held(view, record.id, record, size, likeness_of(record), stored, late)
        if self._records < MAX_RECORDS and self._bytes + size <= MAX_BYTES:
            self._records += 1
            self._bytes += size
        else:
            held.record = None
        self._held[held.number] = held
        self._new.append(held)
        if view.mark is not None:
            self._pending.add(view)
        if held.likeness is not None:
            self._alike.setdefault((held.likeness, view.mark is None), Likeness()).add(view)

    def release(self, number: int) -> Held | None:
        """Removes and returns a held view."""
        held = self._held.pop(number, None)
        if held is None:
            return None
        if held.record is not None:
            self._records -= 1
            self._bytes -= held.size
        if held.likeness is not None:
            key = held.likeness, held.view.mark is None
            self._alike[key].remove(held.view)
            if self._alike[key].is_empty:
                del self._alike[key]
        self._pending.remove(held.view)
        return held

    def has_alike(self, likeness: int, unplaced: bool) -> bool:
        return (likeness, unplaced) in self._alike

    def alike(self, view: View, likeness: int, unplaced: bool) -> Iterator[Held]:
        """The held views of a likeness, the unplaced ones or the others, that may be of the same call as a
        view, by their start.
        """
        found = self._alike.get((likeness, unplaced))
        if found is not None:
            yield from (self._held[number] for number in found.near(view))

    def record_delivery(
        self, agent: str, epoch: str, passed: int, at: float, cluster: str | None = None
    ) -> None:
        """Records that an agent has delivered the calls that ended up to `passed` (ns). Much less than before
        means that its clock was ahead and was set. An agent of an earlier version names its cluster with its
        first record.
        """
        unnamed = self._agents.get((None, agent))
        if cluster is not None and unnamed is not None and unnamed.epoch == epoch:
            self._agents[cluster, agent] = self._agents.pop((None, agent))
        known = self._agents.pop((cluster, agent), None)
        if known is not None and known.epoch == epoch and passed >= known.passed - SLACK_NS:
            passed = max(passed, known.passed)
        self._agents[cluster, agent] = _Agent(epoch, passed, at)
        if len(self._agents) > MAX_AGENTS:
            del self._agents[next(iter(self._agents))]

    def due(self, now: int, at: float) -> Iterator[tuple[Held, SettledBy]]:
        """Removes the views whose wait is over; yields each with the reason."""
        self._queue_new(now, at)
        for queues, seconds in ((self._live, IDLE_S), (self._backlog, KNOWN_S)):
            passed = self.watermark(at, seconds)
            if passed is not None:
                yield from self._let_go(queues.by_end.due(passed - SLACK_NS), SettledBy.WATERMARK)
            yield from self._let_go(queues.by_time.due(at), SettledBy.TIME)
        while len(self._held) > MAX_HELD:
            yield from self._let_go([next(iter(self._held))], SettledBy.MEMORY)

    def take_new(self) -> list[int]:
        """Returns the held views that the store does not have as held yet, and marks them stored."""
        new = [held for held in self._new if not held.stored and held.number in self._held]
        for held in new:
            held.stored = True
        self._new.clear()
        return [held.number for held in new]

    def watermark(self, at: float, seconds: float = IDLE_S) -> int | None:
        """The time (ns) that all agents have passed that delivered within `seconds`; None if none did."""
        return min((one.passed for one in self._agents.values() if at - one.at <= seconds), default=None)

    def forget(self, ids: Mapping[int, str]) -> list[int]:
        """Restores the state of the store after work was undone: `ids` are the held views' record ids by
        number. Returns the numbers that are not in memory and must be held again.
        """
        for number, held in [*self._held.items()]:
            if ids.get(number) == held.id:
                held.stored = True
            else:
                self.release(number)
        self._new = [held for held in self._new if self._held.get(held.number) is held]
        return [number for number in ids if number not in self._held]

    def _queue_new(self, now: int, at: float) -> None:
        for held in self._new:
            if held.number in self._held:
                held.live = abs(now - held.view.end) <= LIVE_NS
                queues, seconds = (self._live, LIVE_S) if held.live else (self._backlog, BACKLOG_S)
                queues.by_end.push(held.view.end, held.number)
                queues.by_time.push(at + seconds, held.number)

    def _let_go(self, numbers: Iterable[int], why: SettledBy) -> Iterator[tuple[Held, SettledBy]]:
        for number in numbers:
            held = self.release(number)
            if held is not None:
                yield held, why


class _Queue:
    """Numbers of views by when their wait ends. Entries of released views are skipped, and removed before
    they outnumber the others.
    """

    def __init__(self, held: Mapping[int, Held]) -> None:
        self._held = held
        self._heap: list[tuple[float, int]] = []

    def push(self, until: float, number: int) -> None:
        heappush(self._heap, (until, number))
        if len(self._heap) > 2 * len(self._held) + SPARE:
            self._heap = [one for one in self._heap if one[1] in self._held]
            heapify(self._heap)

    def due(self, reached: float) -> Iterator[int]:
        while self._heap and self._heap[0][0] <= reached:
            _, number = heappop(self._heap)
            yield number


class _Queues:
    """The queues of views that wait for the same agents and equally long."""

    def __init__(self, held: Mapping[int, Held]) -> None:
        self.by_end, self.by_time = _Queue(held), _Queue(held)
