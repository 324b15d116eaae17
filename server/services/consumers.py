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
from server.store.rows import ConsumerOperationRow, ConsumerRow, Listed, PeriodCount
from server.store.store import Store
from server.store.values import DAY_NS, HOUR_NS

MAX_PERIODS = 2_400  # of one answer: 100 days by hour
SHOWN_HOURS = 24  # without a beginning
PAGE = 500  # rows
MAX_RECENT = 50_000  # exchanges of the last hour that are counted by minute
MINUTE_NS = 60_000_000_000


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


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """Calls by minute; if there were too many to count, those since a time (ns) only."""

    minutes: Sequence[PeriodCounts]
    since: int | None


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
        return self.week(Filters((FieldFilter(FilterField.CONSUMER, (one.number,)),)))

    def week_of_operation(self, api: int, key: str) -> Sequence[PeriodCounts]:
        """The calls of an API's operation of each hour of the last seven days."""
        return self.week(Filters((FieldFilter(FilterField.OPERATION, (key,)),), api))

    def week(self, filters: Filters) -> Sequence[PeriodCounts]:
        """The selected calls of each hour of the last seven days."""
        return self.over_time(replace(filters, since=self._clock() - 7 * DAY_NS), Period.HOUR)

    def last_hours(self, count: int) -> Sequence[PeriodCounts]:
        """All calls of each of the last hours, with this one. Raises InvalidInput if these are too many."""
        return self.over_time(Filters(since=self._clock() - (count - 1) * HOUR_NS), Period.HOUR)

    def last_hour(self) -> RecentCalls:
        """The stored calls of each minute of the last hour, at most MAX_RECENT of them."""
        periods = range(self._clock() // MINUTE_NS - 59, self._clock() // MINUTE_NS + 1)
        with self._store.reading() as reader:
            found = reader.exchanges.by_minute(periods.start * MINUTE_NS, MAX_RECENT)
        return RecentCalls(_counted(found.counts, periods, MINUTE_NS), found.since)

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
            found = reader.consumers.calls_by_hour(whole)
        return _counted(found, periods, length, by.value)


def _operations(reader: Reader, one: ConsumerRow, filters: Filters) -> Iterator[ConsumerOperationRow]:
    return rows_of(lambda after: reader.consumers.operations(one.number, PAGE, after, filters))


def _counted(
    counts: Iterable[PeriodCount], periods: Sequence[int], length: int, each: int = 1
) -> Sequence[PeriodCounts]:
    """The counts by periods of this length (ns); each has so many of those that were counted."""
    found = {one: (Counter[str](), Counter[str](), Counter[str]()) for one in periods}
    for one in counts:
        if (at := found.get(one.period // each)) is None:
            continue
        for counter, name in zip(at, (one.status, one.verdict, one.fault), strict=True):
            if name is not None:
                counter[name] += one.count
    return [PeriodCounts(one * length, *found[one]) for one in periods]
