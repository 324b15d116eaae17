"""Views that wait for their other half. Each is settled once: counted, with its other half or alone.

| state | event                                                 | next                     | way       |
|-------|-------------------------------------------------------|--------------------------|-----------|
| new   | no other view of its call can be told                 | settled alone            | AT_ONCE   |
| new   | its other half is held                                | settled, both            | PAIRED    |
| new   | its other half was settled alone, and is kept for it  | that is taken back; both | LATE      |
| new   | neither                                               | held                     |           |
| held  | its other half comes                                  | settled, both            | PAIRED    |
| held  | all agents that count have passed its end by SLACK_NS | settled alone            | WATERMARK |
| held  | it was held for LIVE_S, or BACKLOG_S                  | settled alone            | TIME      |
| held  | more than MAX_HELD are, and it is the oldest          | settled alone            | MEMORY    |
| held  | the server ends, or work is undone                    | held, as the store says  |           |

An agent has passed the end of the newest call that it delivered; one that delivers nothing but its ledger,
the present by the server's clock. For a view that came live, agents count that delivered within IDLE_S: the
others are idle. For one of a backlog, all that did within KNOWN_S: after an outage they return one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush

from agent.wire import Record
from server.analysis.witnesses import Pending, View

LIVE_S = 2.0  # a live view waits no longer
BACKLOG_S = 30.0  # nor one of a backlog
IDLE_S = 2.0
KNOWN_S = 3600.0
LIVE_NS = 5_000_000_000  # a view is live if it came so soon after its end by the server's clock
SLACK_NS = 1_000_000_000  # for what an agent delivers out of order, and clocks that differ
MAX_HELD = 50_000  # views
MAX_RECORDS = 10_000  # of these with their record in memory; the others' are read from the store
MAX_BYTES = 32 * 1024 * 1024  # of these records, packed
MAX_AGENTS = 10_000
SPARE = 1000  # entries of a queue that may be of settled views, beside as many as are held


class SettledBy(StrEnum):
    """Why views were settled when they were; of both views of a call it is one."""

    AT_ONCE = "at_once"
    PAIRED = "paired"
    WATERMARK = "watermark"
    TIME = "time"
    MEMORY = "memory"
    LATE = "late"


@dataclass(slots=True)
class Held:
    """`record` is None where it has to be read from the store; `size` is its bytes, packed."""

    view: View
    id: str
    record: Record | None
    size: int
    stored: bool = False  # whether the store says that it is held
    live: bool = False

    @property
    def number(self) -> int:
        return self.view.exchange


@dataclass(slots=True)
class _Agent:
    """The end of the newest call that it delivered (ns), and when it delivered last (monotonic, s)."""

    epoch: str
    passed: int
    at: float


class ViewHold:
    """Writer's thread. Times are passed in: `now` is wall time in ns, `at` a monotonic one in s."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, Held] = OrderedDict()  # as they came
        self._new: list[Held] = []  # which no queue has yet
        self._records = self._bytes = 0
        self._pending = Pending()
        self._agents: dict[str, _Agent] = {}
        self._live, self._backlog = _Queues(self._held), _Queues(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def match(self, view: View, others: Iterable[View] = ()) -> View | None:
        """The other half of a new view: one that is held, to be released, or one of `others`."""
        return self._pending.take(view, others)

    def hold(self, view: View, record: Record, size: int, stored: bool = False) -> None:
        """From now on it waits; `size` is its record's, packed."""
        held = Held(view, record.id, record, size, stored)
        if self._records < MAX_RECORDS and self._bytes + size <= MAX_BYTES:
            self._records += 1
            self._bytes += size
        else:
            held.record = None
        self._held[held.number] = held
        self._new.append(held)
        self._pending.add(view)

    def release(self, number: int) -> Held | None:
        """It waits no more."""
        held = self._held.pop(number, None)
        if held is not None and held.record is not None:
            self._records -= 1
            self._bytes -= held.size
        return held

    def heard(self, agent: str, epoch: str, passed: int, at: float) -> None:
        """An agent delivered what it knows of calls that ended up to `passed` (ns)."""
        known = self._agents.pop(agent, None)
        if known is not None and known.epoch == epoch:
            passed = max(passed, known.passed)
        self._agents[agent] = _Agent(epoch, passed, at)
        if len(self._agents) > MAX_AGENTS:
            del self._agents[next(iter(self._agents))]

    def due(self, now: int, at: float) -> Iterator[tuple[Held, SettledBy]]:
        """Those that wait no more, and why."""
        self._queue_new(now, at)
        for queues, seconds in ((self._live, IDLE_S), (self._backlog, KNOWN_S)):
            passed = self.watermark(at, seconds)
            if passed is not None:
                yield from self._let_go(queues.by_end.due(passed - SLACK_NS), SettledBy.WATERMARK)
            yield from self._let_go(queues.by_time.due(at), SettledBy.TIME)
        while len(self._held) > MAX_HELD:
            yield from self._let_go([next(iter(self._held))], SettledBy.MEMORY)

    def take_new(self) -> list[int]:
        """Which of those held now the store does not know yet; from now on it does."""
        new = [held for held in self._new if not held.stored and held.number in self._held]
        for held in new:
            held.stored = True
        self._new.clear()
        return [held.number for held in new]

    def watermark(self, at: float, seconds: float = IDLE_S) -> int | None:
        """What all agents have passed that delivered in the last so many seconds; None where none did."""
        return min((one.passed for one in self._agents.values() if at - one.at <= seconds), default=None)

    def forget(self, ids: Mapping[int, str]) -> list[int]:
        """After work was undone those are held that the store says, with their records' ids. Which of them
        are not known here: they are to be held again."""
        for number, held in [*self._held.items()]:
            if ids.get(number) == held.id:
                held.stored = True
            else:
                self.release(number)
                self._pending.remove(held.view)
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
                self._pending.remove(held.view)
                yield held, why


class _Queue:
    """Numbers of views by what they wait for. Those that are held no more are skipped, and let go of before
    they are most of it.
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
    """Of views that wait for the same agents and equally long."""

    def __init__(self, held: Mapping[int, Held]) -> None:
        self.by_end, self.by_time = _Queue(held), _Queue(held)
