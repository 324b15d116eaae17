"""The estate's numbers as metrics, read at each scrape, and left out while the database cannot be read.

Labels are bounded: constants, and the names of at most MOST_APIS APIs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.services.errors import StoreUnavailable
from server.services.measures import OPERATION_STATES, ApiName, Measured

MOST_NAME = 200  # characters of a label
LABELS = ("api", "cluster")
NO_NAMES = ApiName("", "")


@dataclass(frozen=True, slots=True, eq=False)
class EstateMetrics(Collector):
    """Of each API, or of all together."""

    now: Callable[[], Measured]
    by_api: bool

    def collect(self) -> Iterator[Metric]:
        calls, operations, rest = self._families()
        with suppress(StoreUnavailable):
            found = self.now()
            for name, counts in _by(found.calls, self.by_api).items():
                for of, count in counts.items():
                    calls.add_metric([*self._names(name), of.verdict, of.status], count)
            for name, states in _by(found.operations, self.by_api).items():
                for state in OPERATION_STATES:
                    operations.add_metric([*self._names(name), state], states[state])
            if not self.by_api:
                rest = _of_all(found)
        yield from (calls, operations, *rest)

    def _families(self) -> tuple[CounterMetricFamily, GaugeMetricFamily, Sequence[Metric]]:
        of, labels = ("api_", LABELS) if self.by_api else ("", ())
        whose = ", of each API" if self.by_api else ""
        calls = CounterMetricFamily(
            f"spectap_server_{of}exchanges",
            f"Exchanges by verdict and class of status{whose}.",
            labels=[*labels, "verdict", "status"],
        )
        operations = GaugeMetricFamily(
            f"spectap_server_{of}operations", f"Operations by state{whose}.", labels=[*labels, "state"]
        )
        return calls, operations, () if self.by_api else _of_all(None)

    def _names(self, name: ApiName) -> Sequence[str]:
        return (name.name[:MOST_NAME], name.cluster[:MOST_NAME]) if self.by_api else ()


C = TypeVar("C")


def _by(counts: Mapping[ApiName, Mapping[C, int]], by_api: bool) -> Mapping[ApiName, Mapping[C, int]]:
    """By API, or all together."""
    found: dict[ApiName, Counter[C]] = {} if by_api else {NO_NAMES: Counter()}
    for name, one in counts.items():
        shown = ApiName(name.name[:MOST_NAME], name.cluster[:MOST_NAME]) if by_api else NO_NAMES
        found.setdefault(shown, Counter()).update(one)
    return found


def _of_all(found: Measured | None) -> Sequence[Metric]:
    """Numbers that name no API; none of them for None."""
    deviations = GaugeMetricFamily(
        "spectap_server_deviations",
        "Deviations that are not ignored, each once, by kind and severity.",
        labels=["kind", "severity"],
    )
    seen = CounterMetricFamily(
        "spectap_server_agents_seen", "Bytes and exchanges that all agents saw.", labels=["part"]
    )
    lost = CounterMetricFamily(
        "spectap_server_agents_lost",
        "Bytes and exchanges that agents lost or left out, by bucket of their ledgers.",
        labels=["part", "bucket"],
    )
    if found is not None:
        for (kind, severity), count in found.deviations.items():
            deviations.add_metric([kind, severity], count)
        for part, count in found.seen.items():
            seen.add_metric([part], count)
        for (part, bucket), count in found.lost.items():
            lost.add_metric([part, bucket], count)
    return deviations, seen, lost
