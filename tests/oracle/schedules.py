"""What happens to a server while calls are made: batches in some order, repeated, in vain; time; kills."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import strategies as st

from server.ingest.decode import Delivery
from tests.oracle.batches import delivered, deliveries, nothing
from tests.oracle.calls import START, Call, traffic
from tests.oracle.running import SECOND, TARGETS, Running
from tests.oracle.views import Skews
from tests.oracle.world import NODES
from tests.server.records import MS

SKEWS = (-900 * MS, 0, 900 * MS)
LAG = 200 * MS  # from a call's end to its delivery, where nothing is late
OFFLINE = 20 * 3600 * SECOND


class Order(StrEnum):
    """In which batches come."""

    LIVE = "live"  # as calls end
    OFFLINE = "offline"  # as calls end, but all of one agent's hours later
    ANY = "any"


class Fault(StrEnum):
    """What happens after a batch."""

    AGAIN = "again"  # an answer was lost: the batch of some while ago comes once more
    SPOOL = "spool"  # an agent was killed: records of some while ago come in a new batch
    NOTHING = "nothing"  # a batch without records: an agent says that it has no more
    KILL = "kill"
    IN_VAIN = "in vain"  # the next batch cannot be stored, and comes again
    SETTLE = "settle"
    WAIT = "wait"
    JUDGE = "judge"


@dataclass(slots=True)
class Schedule:
    """`order` is that of the batches. `faults` are by the number of the batch that they come before, and so
    is what is `attached`.
    """

    seed: int
    count: int
    skews: Skews
    order: Sequence[int]
    faults: Mapping[int, Sequence[Fault]]
    attached: Mapping[int, Sequence[int]]
    calls: Sequence[Call] = field(init=False)
    batches: Sequence[Delivery] = field(init=False)

    def __post_init__(self) -> None:
        self.calls, batches = world(self.seed, self.count, self.skews)
        self.batches = [batches[number] for number in self.order]


def world(seed: int, count: int, skews: Skews, start: int = START) -> tuple[list[Call], list[Delivery]]:
    """So many calls, and the batches with their views."""
    chance = random.Random(seed)
    calls = traffic(chance, count, start=start)
    return calls, deliveries(chance, calls, skews)


@st.composite
def schedules(draw: st.DrawFn, count: int) -> Schedule:
    """Schedules of so many calls."""
    seed = draw(st.integers(0, 2**32 - 1))
    skews = dict(zip(NODES, draw(st.permutations(SKEWS)), strict=True))
    _, batches = world(seed, count, skews)
    order = draw(_orders(batches))
    places = st.integers(0, len(batches))
    faults: dict[int, list[Fault]] = {}
    for at, fault in draw(st.lists(st.tuples(places, st.sampled_from(Fault)), max_size=16)):
        faults.setdefault(at, []).append(fault)
    attached: dict[int, list[int]] = {}
    for target in range(len(TARGETS)):
        attached.setdefault(draw(st.just(0) | places), []).append(target)
    return Schedule(seed, count, skews, order, faults, attached)


def in_turn(
    seed: int, count: int, away: str | None = None, faults: Mapping[int, Sequence[Fault]] | None = None
) -> Schedule:
    """A schedule whose batches come as calls end, but those of the agent that is `away`: after all others."""
    skews = dict(zip(NODES, SKEWS, strict=True))
    _, batches = world(seed, count, skews)
    return Schedule(seed, count, skews, _as_ended(batches, away), faults or {}, {0: range(len(TARGETS))})


@st.composite
def _orders(draw: st.DrawFn, batches: Sequence[Delivery]) -> Sequence[int]:
    """As calls end; so, but for one agent, which is offline; or in any order."""
    kind = draw(st.sampled_from(Order))
    if kind is Order.ANY:
        return draw(st.permutations(range(len(batches))))
    agents = sorted({one.batch.agent for one in batches})
    return _as_ended(batches, draw(st.sampled_from(agents)) if kind is Order.OFFLINE else None)


def _as_ended(batches: Sequence[Delivery], away: str | None) -> Sequence[int]:
    keys = [(one.batch.agent == away, ended(one)) for one in batches]
    return sorted(range(len(batches)), key=keys.__getitem__)


def ended(delivery: Delivery) -> int:
    """When the newest call of a batch ended."""
    return max(one.timing.end or one.time for one in delivery.batch.records)


def run(schedule: Schedule, server: Running) -> None:
    """Everything in its order; the server has all batches at the end."""
    for number in range(len(schedule.batches) + 1):
        for target in schedule.attached.get(number, ()):
            server.attach(TARGETS[target])
        for fault in schedule.faults.get(number, ()):
            _fail(server, fault, schedule.batches, number)
        if number < len(schedule.batches):
            delivery = schedule.batches[number]
            server.now = max(server.now, ended(delivery) + LAG)
            server.deliver(delivery)


def _fail(server: Running, fault: Fault, batches: Sequence[Delivery], number: int) -> None:
    if fault is Fault.KILL:
        server.kill()
    elif fault is Fault.AGAIN:
        for delivery in _before(batches, number):
            server.deliver(delivery)
    elif fault is Fault.SPOOL:
        for delivery in _before(batches, number):
            server.deliver(delivered(delivery.batch.records, f"spool-{number}", 1 + number))
    elif fault is Fault.NOTHING:
        for delivery in _before(batches, number):
            server.deliver(nothing(delivery.batch.agent, f"nothing-{number}"))
    elif fault is Fault.IN_VAIN and number < len(batches):
        server.deliver_in_vain(batches[number])
    elif fault is Fault.SETTLE:
        server.settle_due()
    elif fault is Fault.WAIT:
        server.now += 40 * SECOND
        server.settle_due()
    elif fault is Fault.JUDGE:
        server.judge_again()


def _before(batches: Sequence[Delivery], number: int) -> Iterable[Delivery]:
    """The last batch, and one of some while ago."""
    return [batches[at] for at in sorted({number - 1, number // 2}) if 0 <= at < number]
