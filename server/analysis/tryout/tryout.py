"""Judges stored exchanges by a proposed document, and counts the calls that it would break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from agent.wire import Record
from server.analysis.specs.deviation import Deviation, DeviationIdentity
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Judgement
from server.analysis.tryout.documents import TriedConsumer, TriedDifference, TriedOperation

MAX_SAMPLES = 3  # ids of exchanges for a difference
MAX_DIFFERENCES = 1_000
"""Differences told apart; the calls of further ones count as broken, too. Their places come from the
network.
"""


class Proposed(Protocol):
    """The engine's view of the proposed document."""

    def match(self, record: Record) -> Judgement: ...


class TryoutConsumer(NamedTuple):
    """Who calls: what names it, such as a user agent, and the name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class TriedExchange:
    """A stored exchange: the operation it counts for, and its present deviations. `record` is its most
    complete view.
    """

    id: str
    operation: str
    consumer: TryoutConsumer
    deviations: Collection[DeviationIdentity]
    record: Record


class Difference(NamedTuple):
    """What calls of an operation would deviate in."""

    operation: str
    kind: str
    where: Where
    place: str


@dataclass(slots=True)
class BrokenCalls:
    """The calls with one difference; `samples` are ids of exchanges."""

    message: str
    calls: int = 0
    consumers: set[TryoutConsumer] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)


class Tryout:
    """Takes the stored exchanges of an API. Calls that stay as they are, deviating or not, do not break."""

    def __init__(self, proposed: Proposed) -> None:
        self._proposed = proposed
        self.broken: dict[Difference, BrokenCalls] = {}
        self.unlisted = 0
        self._replayed: Counter[str] = Counter()
        self._breaking: Counter[str] = Counter()
        self._calls: Counter[TryoutConsumer] = Counter()
        self._broken_of: dict[TryoutConsumer, Counter[str]] = {}

    def add(self, exchange: TriedExchange) -> None:
        """Judges one exchange by the proposal."""
        self._replayed[exchange.operation] += 1
        self._calls[exchange.consumer] += 1
        now = {(one.kind, one.where, one.place) for one in exchange.deviations}
        judgement = self._proposed.match(exchange.record)
        new = [one for one in judgement.deviations if (one.kind, one.where, one.place) not in now]
        if new:
            self._breaking[exchange.operation] += 1
            self._broken_of.setdefault(exchange.consumer, Counter())[exchange.operation] += 1
        for one in new:
            self._count(exchange, one)

    def _count(self, exchange: TriedExchange, one: Deviation) -> None:
        difference = Difference(exchange.operation, one.kind, one.where, one.place)
        if difference not in self.broken:
            if len(self.broken) >= MAX_DIFFERENCES:
                self.unlisted += 1
                return
            self.broken[difference] = BrokenCalls(one.message)
        calls = self.broken[difference]
        calls.calls += 1
        calls.consumers.add(exchange.consumer)
        if len(calls.samples) < MAX_SAMPLES:
            calls.samples.append(exchange.id)

    @property
    def replayed(self) -> int:
        return self._replayed.total()

    @property
    def breaking(self) -> int:
        """The replayed calls that break."""
        return self._breaking.total()

    def operations(self, counted: Mapping[str, int]) -> list[TriedOperation]:
        """The operations with calls, those with most broken calls first; `counted` are all calls of each."""
        found = [self._operation(key, counted.get(key, 0)) for key in counted.keys() | self._replayed.keys()]
        return sorted(found, key=lambda one: (-(one["estimated"] or 0), -one["counted"], one["operation"]))

    def _operation(self, key: str, counted: int) -> TriedOperation:
        replayed, broken = self._replayed[key], self._breaking[key]
        counted = max(counted, replayed)  # counted a moment earlier
        return {
            "operation": key,
            "counted": counted,
            "replayed": replayed,
            "broken": broken,
            "estimated": round(counted * broken / replayed) if replayed else None,
            "extrapolated": counted > replayed,
        }

    def consumers(self) -> list[TriedConsumer]:
        """The consumers whose calls break, most affected first."""
        found: list[TriedConsumer] = [
            {
                "kind": consumer.kind,
                "name": consumer.name,
                "replayed": self._calls[consumer],
                "broken": broken.total(),
                "operations": sorted(broken),
            }
            for consumer, broken in self._broken_of.items()
        ]
        return sorted(found, key=lambda one: (-one["broken"], one["kind"], one["name"]))

    def differences(self) -> list[TriedDifference]:
        """What breaks calls, the most frequent first."""
        return [
            {
                "operation": one.operation,
                "kind": one.kind,
                "where": one.where,
                "place": one.place,
                "message": calls.message,
                "calls": calls.calls,
                "consumers": len(calls.consumers),
                "samples": calls.samples,
            }
            for one, calls in sorted(self.broken.items(), key=lambda item: (-item[1].calls, item[0]))
        ]
