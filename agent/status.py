"""The agent's status endpoints: /healthz, /readyz, /metrics and /status. They are open on loopback; elsewhere
the last two need a token.

Each answer is made from a fresh Snapshot. METRICS and agent/README.md list the metrics.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.lag import Lag
from agent.ledger import Attribution, Bytes, Exchanges, Kernel, PartlySeen, Steps
from agent.listening import Answers, Listener, Listening
from agent.loopback import is_loopback
from agent.wire import CaptureScope

log = logging.getLogger(__name__)

STALLED_S = 10.0  # a pipeline without progress for this long is not ready
MOST_CONNECTIONS = 16
OPEN = frozenset({"/healthz", "/readyz"})  # to everybody: whoever runs the agent asks
LISTENING = Listening("status", "serve the status page", "--status-listen", MOST_CONNECTIONS)
IDLE_S = 5.0

METRICS: dict[str, str] = {
    "spectap_agent_info": "Version, agent name and capture backend, as labels.",
    "spectap_agent_ready": "1 when probes are attached and the pipeline makes progress.",
    "spectap_agent_stopping": "1 once the agent has been asked to stop.",
    "spectap_agent_bytes_total": "Stream bytes by bucket; every byte seen is in exactly one.",
    "spectap_agent_exchanges_total": "Exchanges by bucket, from the parser to the server's acknowledgement.",
    "spectap_agent_kernel_events_total": "Events, bytes and connections not delivered, by bucket.",
    "spectap_agent_connections_total": "Connections of which something is missing, by bucket.",
    "spectap_agent_connections_open": "Connections that the pipeline holds state for.",
    "spectap_agent_processes_watched": "Running processes that the pipeline knows of.",
    "spectap_agent_attachments": "Attached probes, by target.",
    "spectap_agent_before_probes_bytes_total": "TLS on the wire before a program's library was probed.",
    "spectap_agent_before_probes_connections_total": "Connections of these bytes, by process.",
    "spectap_agent_ring_bytes": "Size of the ring between kernel and agent.",
    "spectap_agent_ring_used_bytes": "Bytes in the ring when it was last drained.",
    "spectap_agent_queue_records": "Records not yet acknowledged by the server.",
    "spectap_agent_queue_bytes": "Bytes of records that wait to be sent.",
    "spectap_agent_captured": "1 for what is captured at present, 0 for all else, by scope.",
    "spectap_agent_steps_total": "Steps down and up, by step, and the milliseconds and exchanges they cost.",
    "spectap_agent_pods_total": "Exchanges shipped without their pod, by bucket.",
    "spectap_agent_lag_seconds": "Seconds from kernel to record and from record to server, by stage.",
}

_BUCKETS: dict[str, tuple[str, type[StrEnum]]] = {
    "bytes": ("spectap_agent_bytes_total", Bytes),
    "exchanges": ("spectap_agent_exchanges_total", Exchanges),
    "kernel": ("spectap_agent_kernel_events_total", Kernel),
    "steps": ("spectap_agent_steps_total", Steps),
    "pods": ("spectap_agent_pods_total", Attribution),
    "connections": ("spectap_agent_connections_total", PartlySeen),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A target of probes: `what` is "sockets" or a TLS library's name, `path` the library's file."""

    what: str
    path: str | None
    probes: int


@dataclass(frozen=True, slots=True)
class BeforeProbes:
    """TLS on the wire of processes with this name before their library was probed: it was not captured."""

    process: str
    bytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The agent at one moment. `turned_at` is time.monotonic() of the pipeline's last turn; `lag` is None
    while nothing is captured; `scope` is one of CaptureScope.
    """

    agent: str
    version: str
    attached: bool
    turned_at: float | None
    ledger: Mapping[str, Mapping[str, int]]
    backend: str | None = None
    backends_refused: Mapping[str, str] = field(default_factory=dict)  # by name, with the reason
    watching: tuple[Watched, ...] = ()
    connections_open: int = 0
    processes_watched: int = 0
    ring_bytes: int = 0
    ring_used_bytes: int = 0
    queue_records: int = 0
    queue_bytes: int = 0
    lag: Lag | None = None
    scope: str = CaptureScope.NOTHING
    stopping: bool = False
    detach_done: int = 0
    detach_total: int = 0
    before_probes: tuple[BeforeProbes, ...] = ()
    notes: tuple[str, ...] = field(default=())  # what could not be probed, and why; sentences


SnapshotSource = Callable[[], Snapshot]
Stuck = Callable[[], str | None]


def why_not_ready(snapshot: Snapshot, now: float) -> str | None:
    """The reason why the agent does not capture at `now` (time.monotonic()), or None when it does."""
    if snapshot.stopping:
        return "stopping"
    if not snapshot.attached:
        return "probes are not attached yet"
    if snapshot.turned_at is None:
        return "the pipeline has not started yet"
    if now - snapshot.turned_at > STALLED_S:
        return f"the pipeline has made no progress for {int(now - snapshot.turned_at)} s"
    return None


def as_json(snapshot: Snapshot, now: float) -> dict[str, Any]:
    """The /status document."""
    reason = why_not_ready(snapshot, now)
    return {
        "agent": snapshot.agent,
        "version": snapshot.version,
        "ready": reason is None,
        "why_not_ready": reason,
        "backend": snapshot.backend,
        "backends_refused": dict(snapshot.backends_refused),
        "watching": [asdict(watched) for watched in snapshot.watching],
        "notes": list(snapshot.notes),
        "before_probes": [asdict(before) for before in snapshot.before_probes],
        "connections_open": snapshot.connections_open,
        "processes_watched": snapshot.processes_watched,
        "ring": {"bytes": snapshot.ring_bytes, "used_bytes": snapshot.ring_used_bytes},
        "queue": {"records": snapshot.queue_records, "bytes": snapshot.queue_bytes},
        "captured": snapshot.scope,
        "lag": None if snapshot.lag is None else _lag_json(snapshot.lag),
        "ledger": {name: dict(counts) for name, counts in snapshot.ledger.items()},
        "stopping": snapshot.stopping,
        "detach": {"done": snapshot.detach_done, "total": snapshot.detach_total},
    }


def _lag_json(lag: Lag) -> dict[str, float]:
    stages = {"capture_s": lag.capture_s, "delivery_s": lag.delivery_s, "total_s": lag.total_s}
    return {name: round(seconds, 3) for name, seconds in stages.items()}


class _Numbers(Collector):
    """The snapshot as Prometheus metrics."""

    def __init__(self, snapshot: SnapshotSource) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[Metric]:
        return iter(())  # else the registry would collect once at registration

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        info = {"version": snapshot.version, "agent": snapshot.agent, "backend": snapshot.backend or ""}
        yield InfoMetricFamily("spectap_agent", METRICS["spectap_agent_info"], info)
        for ledger, (name, buckets) in _BUCKETS.items():
            yield _counter(name, buckets, snapshot.ledger.get(ledger, {}))
        attachments = _gauge("spectap_agent_attachments", labels=["what", "path"])
        for watched in snapshot.watching:
            attachments.add_metric([watched.what, watched.path or ""], watched.probes)
        yield attachments
        captured = _gauge("spectap_agent_captured", labels=["scope"])
        for scope in CaptureScope:
            captured.add_metric([scope], scope == snapshot.scope)
        yield captured
        for part in ("bytes", "connections"):
            name = f"spectap_agent_before_probes_{part}_total"
            counter = CounterMetricFamily(name, METRICS[name], labels=["process"])
            for before in snapshot.before_probes:
                counter.add_metric([before.process], getattr(before, part))
            yield counter
        if snapshot.lag is not None:
            lag = _gauge("spectap_agent_lag_seconds", labels=["stage"])
            lag.add_metric(["capture"], snapshot.lag.capture_s)
            lag.add_metric(["delivery"], snapshot.lag.delivery_s)
            yield lag
        for name, value in _gauges(snapshot, time.monotonic()).items():
            gauge = _gauge(name)
            gauge.add_metric([], value)
            yield gauge


def _counter(name: str, buckets: type[StrEnum], counts: Mapping[str, int]) -> CounterMetricFamily:
    """Every bucket of the ledger, the empty ones as 0, so that an alert can name any of them."""
    counter = CounterMetricFamily(name, METRICS[name], labels=["bucket"])
    for bucket in sorted(({str(bucket) for bucket in buckets} | set(counts)) - {Exchanges.IN_FLIGHT}):
        counter.add_metric([str(bucket)], counts.get(bucket, 0))
    return counter


def _gauge(name: str, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, METRICS[name], labels=labels or [])


def _gauges(snapshot: Snapshot, now: float) -> dict[str, float]:
    return {
        "spectap_agent_ready": why_not_ready(snapshot, now) is None,
        "spectap_agent_stopping": snapshot.stopping,
        "spectap_agent_connections_open": snapshot.connections_open,
        "spectap_agent_processes_watched": snapshot.processes_watched,
        "spectap_agent_ring_bytes": snapshot.ring_bytes,
        "spectap_agent_ring_used_bytes": snapshot.ring_used_bytes,
        "spectap_agent_queue_records": snapshot.queue_records,
        "spectap_agent_queue_bytes": snapshot.queue_bytes,
    }


class StatusServer(Listener):
    """Serves the snapshot. With a token, metrics and status are for its holders; without one, everything is
    for loopback.

    `snapshot` and `stuck` (which loop hangs, if any) are called for every request, from other threads;
    `stuck` must not wait for a lock. Raises ListenError.
    """

    def __init__(
        self, address: tuple[str, int], snapshot: SnapshotSource, stuck: Stuck, token: str | None = None
    ) -> None:
        self.snapshot, self.stuck = snapshot, stuck
        self.token = None if token is None else f"Bearer {token}".encode()
        self.registry = CollectorRegistry()
        self.registry.register(_Numbers(snapshot))
        ProcessCollector(registry=self.registry)  # the agent's own CPU and memory
        super().__init__(address, _Pages, LISTENING)


class _Pages(Answers):
    server: StatusServer
    timeout = IDLE_S

    def do_GET(self) -> None:
        pages = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/status": self._status,
        }
        path = urlsplit(self.path).path
        if self.server.token is None and not self._host_is_ours():
            self.answer(421, "text/plain", b"this page answers to loopback names only\n")
        elif path not in pages:
            self.answer(404, "text/plain", b"try /healthz, /readyz, /metrics or /status\n")
        elif path not in OPEN and not self._has_token():
            self.answer(401, "text/plain", b"send the token of --status-token-file as a bearer token\n")
        else:
            pages[path]()

    def _has_token(self) -> bool:
        token = self.server.token
        given = self.headers.get("authorization", "").encode("latin-1", "replace")
        return token is None or hmac.compare_digest(given, token)

    def _host_is_ours(self) -> bool:
        """Only loopback names are accepted; otherwise a web page could reach this server by DNS rebinding."""
        try:
            return is_loopback(urlsplit(f"//{self.headers.get('host', '')}").hostname or "")
        except ValueError:
            return False

    def _healthz(self) -> None:
        reason = self.server.stuck()
        self.answer(503 if reason else 200, "text/plain", f"{reason or 'ok'}\n".encode())

    def _readyz(self) -> None:
        reason = why_not_ready(self.server.snapshot(), time.monotonic())
        self.answer(503 if reason else 200, "text/plain", f"{reason or 'ready'}\n".encode())

    def _metrics(self) -> None:
        self.answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))

    def _status(self) -> None:
        document = as_json(self.server.snapshot(), time.monotonic())
        self.answer(200, "application/json", json.dumps(document).encode())
