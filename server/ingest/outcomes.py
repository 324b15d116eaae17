"""The server's part of the ledger: what happened to records and their content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.store.draft import ExchangeDraft

NONE = "none"


class Received(StrEnum):
    """What happened to each received record."""

    STORED = "stored"  # the first view of an exchange
    WITNESS = "witness"  # the other view of an exchange
    DUPLICATE = "duplicate"  # this record is stored already
    DUPLICATE_BATCH = "duplicate_batch"  # of a batch that is stored already


UNCERTAIN = "uncertain"
"""Exchanges settled although they may be other exchanges, seen from the other end."""


IN_DOUBT = "in doubt"
"""Exchanges settled with one view, although the other may be among the views of other exchanges."""


MISDATED = "misdated"
"""Records whose time is impossible: they are stored with the time of their arrival."""


class Left(StrEnum):
    """What was left out at ingest although the exchange is stored."""

    DEVIATIONS = "deviations_over_bound"  # or its number is another deviation's
    ENGINE = "matching_failed"
    COVERAGE = "coverage_failed"
    COLLIDED = "id_collision"  # the exchange is not counted at all: its number collides
    GONE = "exchange_gone"  # the view: its exchange was counted or left out before, and is not stored


@dataclass(frozen=True, slots=True)
class CallsKey:
    """What settled exchanges are counted by: the API's number, the verdict and the class of status, which are
    "none" where there is none.
    """

    api: int
    verdict: str
    status: str

    @classmethod
    def of(cls, exchange: ExchangeDraft) -> CallsKey:
        """Of a counted exchange."""
        counted = exchange.counted
        verdict = counted.verdict if counted else None
        status = counted.status if counted else None
        return cls(exchange.api, verdict or NONE, f"{status // 100}xx" if status else NONE)


class Outcomes:
    """Counts of Received and Left by cluster, None for none, until they are written."""

    def __init__(self) -> None:
        self._counts: dict[str | None, Counter[str]] = {}

    def count(self, outcome: str, cluster: str | None, number: int = 1) -> None:
        self._counts.setdefault(cluster, Counter())[outcome] += number

    def total(self, outcome: str) -> int:
        """Of all clusters."""
        return sum(counts[outcome] for counts in self._counts.values())

    def __iter__(self) -> Iterator[tuple[str | None, Mapping[str, int]]]:
        return iter(self._counts.items())

    def clear(self) -> None:
        self._counts.clear()
