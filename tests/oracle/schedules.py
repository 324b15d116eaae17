"""Events of a server during traffic: batches in some order, repeated or failing; time; kills."""

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
LAG = 200 * MS  # from a call's end to its delivery, without delay
OFFLINE = 20 * 3600 * SECOND


class Order(StrEnum):
    """The order of batches."""

    LIVE = "live"  # in the order in which calls end
    OFFLINE = "offline"  # the same, but one agent's batches are hours late
    ANY = "any"


class Fault(StrEnum):
    """An event after a batch."""

    AGAIN = "again"  # an acknowledgement was lost: an earlier batch is sent again
    SPOOL = "spool"  # an agent was killed: earlier records are sent in a new batch
    NOTHING = "nothing"  # a batch without records: the agent has nothing more
    KILL = "kill"
    IN_VAIN = "in vain"  # the next batch cannot be stored, and is sent again
    SETTLE = "settle"
    WAIT = "wait"
    JUDGE = "judge"


@dataclass(slots=True)
class Schedule:
    """`order` is that of the batches. `faults` and `attached` are by the number of the batch that they
    precede.
    """

    seed: int
    count: int
    in_order: bool
    skews: Skews
    order: Sequence[int]
    faults: Mapping[int, Sequence[Fault]]
    attached: Mapping[int, Sequence[int]]
    calls: Sequence[Call] = field(init=False)
    batches: Sequence[Delivery] = field(init=False)

    def __post_init__(self) -> None:
        self.calls, batches = world(self.seed, self.count, self.skews, in_order=self.in_order)
        self.batches = [batches[number] for number in self.order]


def world(
    seed: int, count: int, skews: Skews, start: int = START, in_order: bool = True
) -> tuple[list[Call], list[Delivery]]:
    """A number of calls, and the batches with their views."""
    chance = random.Random(seed)
    calls = traffic(chance, count, start=start, in_order=in_order)
    return calls, deliveries(chance, calls, skews)


@st.composite
def schedules(draw: st.DrawFn, count: int) -> Schedule:
    """Schedules of a number of calls."""
    seed = draw(st.integers(0, 2**32 - 1))
    skews = dict(zip(NODES, draw(st.permutations(SKEWS)), strict=True))
    kind = draw(st.sampled_from(Order))
    _, batches = world(seed, count, skews, in_order=kind is not Order.ANY)
    order = draw(_orders(batches, kind))
    places = st.integers(0, len(batches))
    faults: dict[int, list[Fault]] = {}
    for at, fault in draw(st.lists(st.tuples(places, st.sampled_from(Fault)), max_size=16)):
        faults.setdefault(at, []).append(fault)
    attached: dict[int, list[int]] = {}
    for target in range(len(TARGETS)):
        attached.setdefault(draw(st.just(0) | places), []).append(target)
    return Schedule(seed, count, kind is not Order.ANY, skews, order, faults, attached)


def in_turn(
    seed: int, count: int, away: str | None = None, faults: Mapping[int, Sequence[Fault]] | None = None
) -> Schedule:
    """A schedule with batches in the order of calls, except those of the agent `away`: after all others."""
    skews = dict(zip(NODES, SKEWS, strict=True))
    _, batches = world(seed, count, skews)
    return Schedule(
        seed, count, True, skews, _as_ended(batches, away), faults or {}, {0: range(len(TARGETS))}
    )


@st.composite
def _orders(draw: st.DrawFn, batches: Sequence[Delivery], kind: Order) -> Sequence[int]:
    """In the order in which calls end; the same, except for one agent, which is offline; or any order."""
    if kind is Order.ANY:
        return draw(st.permutations(range(len(batches))))
    agents = sorted({one.batch.agent for one in batches})
    return _as_ended(batches, draw(st.sampled_from(agents)) if kind is Order.OFFLINE else None)


def _as_ended(batches: Sequence[Delivery], away: str | None) -> Sequence[int]:
    keys = [(one.batch.agent == away, ended(one)) for one in batches]
    return sorted(range(len(batches)), key=keys.__getitem__)


def ended(delivery: Delivery) -> int:
    """The end of a batch's newest call."""
    return max(one.timing.end or one.time for one in delivery.batch.records)


def run(schedule: Schedule, server: Running) -> None:
    """Runs the schedule. At the end the server has all batches."""
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
    """The previous batch, and an earlier one."""
    return [batches[at] for at in sorted({number - 1, number // 2}) if 0 <= at < number]
