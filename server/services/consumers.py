"""Who calls, how often and when."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from server.services.errors import InvalidInput, NotFound
from server.services.narrowing import ANY, Cursor, Filters, rows_of
from server.store.filters import FieldFilter, FilterField
from server.store.reader import Reader
from server.store.rows import ConsumerOperationRow, ConsumerRow, HourCount, Listed
from server.store.store import Store
from server.store.values import DAY_NS, HOUR_NS

MAX_PERIODS = 2_400  # of one answer: 100 days by hour
SHOWN_HOURS = 24  # without a beginning
PAGE = 500  # rows


class Period(Enum):
    """A period of statistics, in hours."""

    HOUR = 1
    DAY = 24


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """The calls of a period that began at a time (ns), by class of status; the judged ones by verdict, and
    those with a fault by fault.
    """

    time: int
    statuses: Mapping[str, int]
    verdicts: Mapping[str, int]
    faults: Mapping[str, int]


class KnownConsumers:
    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ConsumerRow]:
        """Consumers with their calls, busiest first."""
        with self._store.reading() as reader:
            return reader.consumers.listed(filters, limit, after)

    def one(self, id: str) -> ConsumerRow:
        """Raises NotFound."""
        with self._store.reading() as reader:
            found = reader.consumers.one(id)
        if found is None:
            raise NotFound("no such consumer")
        return found

    def operations(
        self, id: str, limit: int, after: Cursor | None, filters: Filters = ANY
    ) -> Listed[ConsumerOperationRow]:
        """The operations that a consumer calls, most called first. Raises NotFound."""
        number = self.one(id).number
        with self._store.reading() as reader:
            return reader.consumers.operations(number, limit, after, filters)

    def callers_of_deprecated(self, limit: int) -> Sequence[tuple[ConsumerRow, ConsumerOperationRow]]:
        """Consumers of deprecated operations with each of these, at most `limit`: who must be told."""
        deprecated = Filters(fields=(FieldFilter(FilterField.DEPRECATED, (1,)),))
        with self._store.reading() as reader:
            found = (
                (one, operation)
                for one in rows_of(lambda after: reader.consumers.listed(deprecated, PAGE, after))
                for operation in _operations(reader, one, deprecated)
            )
            return [*islice(found, limit)]

    def week_of(self, one: ConsumerRow) -> Sequence[PeriodCounts]:
        """A consumer's calls of each hour of the last seven days."""
        of_one = (FieldFilter(FilterField.CONSUMER, (one.number,)),)
        return self.over_time(Filters(of_one, since=self._clock() - 7 * DAY_NS), Period.HOUR)

    def last_hours(self, count: int) -> Sequence[PeriodCounts]:
        """All calls of each of the last hours, with this one. Raises InvalidInput if these are too many."""
        return self.over_time(Filters(since=self._clock() - (count - 1) * HOUR_NS), Period.HOUR)

    def over_time(self, filters: Filters, by: Period) -> Sequence[PeriodCounts]:
        """The calls of each period, oldest first, also of those without calls; of the last 24 hours if no
        beginning is given. Raises InvalidInput if these are too many.
        """
        until = self._clock() + 1 if filters.until is None else filters.until
        since = until - SHOWN_HOURS * HOUR_NS if filters.since is None else filters.since
        length = by.value * HOUR_NS
        periods = range(since // length, -(-until // length))
        if len(periods) > MAX_PERIODS:
            raise InvalidInput(f"at most {MAX_PERIODS} periods at once: give a later since, or by=day")
        whole = replace(filters, since=periods.start * length, until=periods.stop * length)
        with self._store.reading() as reader:
            counted = reader.consumers.calls_by_hour(whole)
        by_status, by_verdict, by_fault = (
            _by_period(counted, by, what)
            for what in (lambda one: one.status, lambda one: one.verdict, lambda one: one.fault)
        )
        return [
            PeriodCounts(one * length, by_status.get(one, {}), by_verdict.get(one, {}), by_fault.get(one, {}))
            for one in periods
        ]


def _operations(reader: Reader, one: ConsumerRow, filters: Filters) -> Iterator[ConsumerOperationRow]:
    return rows_of(lambda after: reader.consumers.operations(one.number, PAGE, after, filters))


def _by_period(
    counts: Iterable[HourCount], by: Period, what: Callable[[HourCount], str | None]
) -> Mapping[int, Mapping[str, int]]:
    found: dict[int, Counter[str]] = {}
    for one in counts:
        name = what(one)
        if name is not None:
            found.setdefault(one.hour // by.value, Counter())[name] += one.count
    return found
