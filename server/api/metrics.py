"""The server's own metrics for Prometheus; they hold no captured values. server/README.md documents each,
which a test checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import APIRouter
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from server.api.estate_metrics import EstateMetrics
from server.services.errors import StoreUnavailable
from server.services.freshness import STATES, Freshness
from server.services.measures import Measured

MOST_CLUSTERS = 100  # in one metric

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Sources:
    """Functions that return the gauges' current values."""

    file_bytes: Callable[[], float]
    waiting: Callable[[], float]
    dropped: Callable[[], float]
    held: Callable[[], float] = float
    watermark_age: Callable[[], float] = float
    uncertain: Callable[[], float] = float
    in_doubt: Callable[[], float] = float
    misdated: Callable[[], float] = float
    late_given_up: Callable[[], float] = float
    settled: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    left_out: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    learnt: Callable[[], float] = float
    sampled_out: Callable[[], float] = float
    not_learnt: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    failures: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    unreadable: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    connections: Callable[[], float] = float
    closed: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    freshness: Callable[[], Freshness] = lambda: Freshness(())
    measured: Callable[[], Measured] = lambda: Measured({}, {}, {}, {}, {})


@dataclass(frozen=True, slots=True, eq=False)
class _Counts(Collector):
    """A counter whose values are read at each scrape, by label."""

    name: str
    text: str
    label: str
    values: Mapping[str, Callable[[], float]]

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self.name, self.text, labels=[self.label])
        for value, read in self.values.items():
            family.add_metric([value], read())
        yield family


@dataclass(frozen=True, slots=True, eq=False)
class _Agents(Collector):
    """What agents report, read at each scrape; left out while the database cannot be read."""

    freshness: Callable[[], Freshness]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        agents = GaugeMetricFamily("spectap_server_agents", "Agents by what they capture.", labels=["state"])
        lag = GaugeMetricFamily(
            "spectap_server_lag_seconds", "The largest lag of an agent, from the kernel to the database."
        )
        lags = GaugeMetricFamily(
            "spectap_server_cluster_lag_seconds", "The largest lag of a cluster's agents.", labels=["cluster"]
        )
        with suppress(StoreUnavailable):
            found = self.freshness()
            for state in STATES:
                agents.add_metric([state], found.counts[state])
            if found.lag_s is not None:
                lag.add_metric([], found.lag_s)
            for cluster, lag_s in found.lags(MOST_CLUSTERS).items():
                lags.add_metric([cluster or ""], lag_s)
        yield from (agents, lag, lags)


class Metrics:
    """`registry` is open to all, `by_api` to who may read: it has names of APIs. Each server has its own, so
    that tests do not share counts.
    """

    def __init__(self, sources: Sources) -> None:
        registry = self.registry = CollectorRegistry()
        self.batches = Counter(
            "spectap_server_batches", "Batches by outcome.", ["outcome"], registry=registry
        )
        self.records = Counter(
            "spectap_server_records", "Records received, by outcome.", ["outcome"], registry=registry
        )
        self.write_seconds = Histogram(
            "spectap_server_accept_seconds", "Time from decoding a batch to its commit.", registry=registry
        )
        gauges: Mapping[str, tuple[str, Callable[[], float]]] = {
            "spectap_server_database_bytes": ("Size of the database's files.", sources.file_bytes),
            "spectap_server_writes_waiting": ("Tasks queued for the database writer.", sources.waiting),
            "spectap_server_exchanges_dropped": ("Exchanges deleted by retention.", sources.dropped),
            "spectap_server_views_held": ("Views that wait for their other half.", sources.held),
            "spectap_server_watermark_age_seconds": (
                "How long ago, by the server's clock, calls ended that all active agents have delivered.",
                sources.watermark_age,
            ),
            "spectap_server_exchanges_uncertain": (
                "Exchanges settled though they may be others, seen from the other end.",
                sources.uncertain,
            ),
            "spectap_server_exchanges_in_doubt": (
                "Exchanges settled with one view though the other may be among those of others.",
                sources.in_doubt,
            ),
            "spectap_server_records_misdated": (
                "Records stored with the time of their arrival, as their own is impossible.",
                sources.misdated,
            ),
            "spectap_server_lone_views_given_up": (
                "Views of one end that are no longer kept for a late other half: there were too many.",
                sources.late_given_up,
            ),
            "spectap_server_exchanges_learnt": ("Exchanges used to learn API structure.", sources.learnt),
            "spectap_server_exchanges_sampled_out": (
                "Exchanges not used to learn: enough of their operation and status were.",
                sources.sampled_out,
            ),
            "spectap_server_connections": (
                "Connected clients, those in their TLS handshake too.",
                sources.connections,
            ),
        }
        for name, (text, read) in gauges.items():
            Gauge(name, text, registry=registry).set_function(read)
        labelled: Mapping[str, tuple[str, str, Mapping[str, Callable[[], float]]]] = {
            "spectap_server_exchanges_not_learnt": (
                "Exchanges not used to learn API structure, by reason.",
                "reason",
                sources.not_learnt,
            ),
            "spectap_server_learning_failures": (
                "Failures of learning, by step; other APIs continue.",
                "step",
                sources.failures,
            ),
            "spectap_server_unreadable_rows": (
                "Stored rows that could not be read and were left out.",
                "what",
                sources.unreadable,
            ),
            "spectap_server_connections_closed": (
                "Connections closed by the server, by reason.",
                "why",
                sources.closed,
            ),
        }
        for name, (text, label, values) in labelled.items():
            gauge = Gauge(name, text, [label], registry=registry)
            for value, read in values.items():
                gauge.labels(value).set_function(read)
        settled, left_out = (
            "Exchanges settled, by what did.",
            "Results left out of stored exchanges, by kind.",
        )
        registry.register(_Agents(sources.freshness))
        registry.register(EstateMetrics(sources.measured, by_api=False))
        self.by_api = CollectorRegistry()
        self.by_api.register(EstateMetrics(sources.measured, by_api=True))
        registry.register(_Counts("spectap_server_exchanges_settled", settled, "by", sources.settled))
        registry.register(_Counts("spectap_server_left_out", left_out, "what", sources.left_out))

    def names(self) -> list[str]:
        """All metric names as exposed (a histogram's without its suffixes)."""
        return sorted(
            f"{family.name}_total" if family.type == "counter" else family.name
            for registry in (self.registry, self.by_api)
            for family in registry.collect()
        )
