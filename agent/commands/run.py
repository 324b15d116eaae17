"""`spectap-agent run`: the kernel as source, the pipeline, the shipper and the status page, in one process.

Signal handlers only set a flag; start, capture, disabling, shipping the rest and detaching happen in order.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from types import FrameType

from agent.capture.choice import Wanted, open_source
from agent.config import Settings
from agent.deadline import Deadline
from agent.gateways import GatewayServer, Reports
from agent.health import Beat, why_stuck
from agent.java.machines import Machines, NoMachines
from agent.kubernetes.node_pods import NodePods, NoPods
from agent.ladder import CaptureLevel
from agent.lag import Lag
from agent.ledger import HOW_OLDER_ARE_READ, Ledger, merged
from agent.own_port import own_port as port_of_server
from agent.own_port import server_addresses
from agent.pace import WAITING_S, CpuPace
from agent.pipeline import Pipeline, turns
from agent.probes.kernel import CaptureFilters
from agent.probes.nothing import NoCapture
from agent.probes.programs import Sizes
from agent.probes.selection import ProcessSelection
from agent.probes.source import LiveSource, Unprobed, Watching
from agent.redact.key import load_or_create
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.ship.shipper import Shipper, SpoolConfig, destination
from agent.status import BeforeProbes, Snapshot, StatusServer, Watched
from agent.stepping import NoStepping, Stepping
from agent.streams.table import Limits
from agent.views import Origin, packed
from agent.wire import Capture, CaptureScope, Record, balances

log = logging.getLogger(__name__)

SHIP_DEADLINE = 10.0  # seconds to send what is queued at the end
DETACH_S = 2.0  # seconds before the deadline; probes are not detached one by one any more


def live_source(settings: Settings, body_cap: int | None = None) -> LiveSource:
    """The live source for these settings; with a body cap it does not copy the bytes beyond it.

    Raises SourceError.
    """
    wanted = Wanted(
        capture_filters(settings, body_cap),
        Sizes(ring_bytes=settings.ring_bytes),
        settings.cache,
        server_addresses(settings.server) if settings.server else frozenset(),
    )
    source = open_source(wanted, settings.backend)
    for name, why in source.watching.refused.items():
        log.info("backend %s is not used: %s", name, why)
    if source.watching.limits:
        log.warning("backend %s: %s", source.watching.backend, source.watching.limits)
    return source


def capture_filters(settings: Settings, body_cap: int | None = None) -> CaptureFilters:
    """What these settings let be captured."""
    telemetry = settings.telemetry_listen
    own_port = port_of_server(settings.server) if settings.server else None
    return CaptureFilters(
        only_ports=settings.only_ports,
        except_ports=settings.except_ports,
        only_pids=settings.only_pids,
        except_pids=settings.except_pids | {os.getpid()},
        only_names=settings.only_names,
        only_cgroups=settings.only_cgroups,
        except_cgroups=settings.except_cgroups,
        own_port=own_port,
        own_tls=own_port is not None and settings.server.startswith("https:"),
        telemetry_port=telemetry[1] if telemetry else None,
        body_cap=body_cap,
        only_pods=settings.pods is not None and not settings.pods.choice.captures_unknown,
        java=settings.java is not None,
    )


def run(settings: Settings, policy: Policy) -> int:
    """Captures until asked to stop. Returns the exit status."""
    with Deadline() as deadline:
        Run(settings, policy, deadline).run()
    return 0


class Run:
    """One run of the agent. Signals only ask it to stop; everything else happens here, in order."""

    def __init__(self, settings: Settings, policy: Policy, deadline: Deadline) -> None:
        self._settings = settings
        self._ledger = Ledger()
        self._deadline = deadline
        self._beat = Beat("pipeline")
        self._attached_ns: int | None = None  # since when, by the monotonic clock
        self._stopping = False
        key = load_or_create(settings.key_file)
        self._source = source(settings)
        self._pods = node_pods(settings, self._source)
        self._machines = machines(settings, self._pods)
        origin = Origin(settings.agent, settings.node, settings.cluster)
        self._pipeline = Pipeline(origin, policy, Redactor(policy, key), self._ledger, Limits())
        self._shipper = Shipper(
            settings.server,
            settings.token,
            settings.agent,
            uuid.uuid4().hex,
            self._others,
            spool=spool_config(settings),
            capture=self._capture,
            residents=self._pods.residents,
            trust=settings.trust,
            cluster=settings.cluster,
        )
        self._reports = Reports(origin, policy, key, self._shipper.offer)
        deadline.in_memory = lambda: self._shipper.in_memory
        self._pace = CpuPace(
            settings.cpu_floor, settings.cpu_ceiling, self._needs_cpu_s, idle=settings.priority == "idle"
        )
        self._stepping: Stepping | NoStepping = NoStepping()
        if settings.step_down:
            self._stepping = Stepping(settings.memory_bytes, self._ledger, self._apply)
        deadline.hurry = self._pace.stop  # at idle priority the deadline could not be kept
        self._status = StatusServer(
            settings.status_listen, self._snapshot, self._why_stuck, settings.status_token
        )
        self._gateways = gateways(settings, self._reports)

    def run(self) -> None:
        """Captures until asked to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        self._status.start()
        log.info("status on http://%s", self._status.address)
        self._shipper.start()
        if self._gateways is not None:
            self._gateways.start()
            log.info("telemetry of gateways at http://%s/api/telemetry", self._gateways.address)
        began = time.monotonic()
        try:
            self._pods.start()
            self._source.attach()
            self._attached_ns = time.monotonic_ns()
            self._shipper.capture_started(time.time_ns())
            log.info("watching (attached in %.1f s): %s", time.monotonic() - began, self._watching_text())
            if self._source.watching.tls_refusal:
                log.error("%s", self._source.watching.tls_refusal)
            if not (self._source.watching.tls_refusal or self._source.watching.limits):
                self._machines.start()  # else nothing would see what they pass on
            self._pace.start()  # the ring holds the events of that time
            self._watch()
        finally:
            self._attached_ns = None
            self._source.disable()
            self._machines.stop()
            self._pods.stop()
            if self._gateways is not None:
                self._gateways.close()
            unsent = self._shipper.close(SHIP_DEADLINE)
            if unsent:
                log.warning("%d records could not be sent in time; counted as unsent_at_exit", unsent)
            self._detach()
            self._status.close()
        self._log_ledgers()

    def _log_ledgers(self) -> None:
        """Logs the final ledgers and whether they balance."""
        totals = self._totals()
        for balance in balances(totals):
            log.info("%s", balance)
        for bucket, count in totals["kernel"].items():
            log.info("not delivered by the kernel: %s=%d", bucket, count)

    def _watch(self) -> None:
        for turn in turns(self._pods.woven(self._source.events(), self._shipper.report)):
            self._beat.turn()
            output = self._pipeline.process(*turn)
            for one in output.dismissed:
                self._source.ignore(one.connection, one.bucket)
            self._ship(output.records)
            self._stepping.turn(self._behind_s())
            self._pace.turn(self._shipper.queued_s())
        for record in self._pipeline.finish().records:
            self._ship([record])

    def _ship(self, records: list[Record]) -> None:
        for raw in [packed(record, self._ledger) for record in records]:
            if raw is not None:
                self._shipper.offer(raw)

    def _detach(self) -> None:
        log.info("capture disabled; detaching probes")
        said = time.monotonic()
        for done, total in self._source.detach():
            if self._deadline.left < DETACH_S:
                log.warning(
                    "%d of %d probes are detached by the kernel as this process ends", total - done, total
                )
                return
            if done == total or time.monotonic() - said >= 1:
                said = time.monotonic()
                log.info("detached %d of %d probes", done, total)

    def _asked_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._source.ask_to_stop()
        self._pace.stop()

    def _watching_text(self) -> str:
        watching = self._source.watching
        libraries = ", ".join(file.path for file in watching.libraries) or "no TLS library"
        return f"{watching.backend}; {libraries}"

    def _others(self) -> dict[str, dict[str, int]]:
        """Counts of the stages before the shipper."""
        return merged(self._ledger.as_map(), self._reports.totals())

    def _totals(self) -> dict[str, dict[str, int]]:
        return merged(self._others(), self._shipper.totals())

    def _lag(self) -> Lag | None:
        """None while nothing is captured."""
        if self._attached_ns is None or not self._settings.capture:
            return None
        return Lag(self._behind_s(), self._shipper.waited_s())

    def _behind_s(self) -> float:
        """How long ago the oldest event occurred that is not read yet; 0 while nothing is captured."""
        now = time.monotonic_ns()
        since = now if self._attached_ns is None else self._attached_ns
        return max(0, now - max(self._pipeline.reached_ns, since)) / 1e9

    def _needs_cpu_s(self) -> float:
        """For how long events have waited, or records that the server would take. Any thread may ask."""
        queued_s = self._shipper.queued_s()
        return max(self._behind_s(), queued_s if queued_s > WAITING_S else 0.0)

    def _capture(self) -> Capture:
        lag = self._lag()
        if lag is None:
            return Capture(CaptureScope.NOTHING)
        return Capture(self._stepping.level.scope, round(lag.total_s * 1000))

    def _apply(self, level: CaptureLevel) -> None:
        """Captures what this level says, and tells the server at once."""
        bodies = level is CaptureLevel.EVERYTHING
        self._source.limit(bodies=bodies, one_in=level.one_in)
        self._pipeline.keep_bodies(bodies)
        self._shipper.report()

    def _why_stuck(self) -> str | None:
        """Which loop hangs; None while stopping, which the deadline bounds."""
        if self._stopping:
            return None
        return why_stuck((self._beat, *self._shipper.beats), time.monotonic())

    def _snapshot(self) -> Snapshot:
        watching = self._source.watching
        queue_records, queue_bytes = self._shipper.waiting()
        libraries = tuple(Watched(file.library, file.path, file.probes) for file in watching.libraries)
        return Snapshot(
            agent=self._settings.agent,
            version=version("spectap"),
            attached=self._attached_ns is not None,
            turned_at=self._beat.at,
            ledger=self._totals(),
            backend=watching.backend,
            backends_refused=watching.refused,
            watching=(Watched("sockets", None, watching.socket_probes), *libraries),
            connections_open=self._pipeline.connections,
            processes_watched=self._pipeline.processes,
            ring_bytes=self._settings.ring_bytes,
            ring_used_bytes=watching.drained_bytes,
            queue_records=queue_records,
            queue_bytes=queue_bytes,
            lag=self._lag(),
            scope=self._capture().watching,
            stopping=self._stopping,
            detach_done=watching.detach_done,
            detach_total=watching.detach_total,
            before_probes=tuple(
                BeforeProbes(name, before.bytes, before.connections)
                for name, before in sorted(watching.unprobed.items())
            ),
            notes=(
                *notes(watching),
                *older(self._pipeline.older_connections),
                *self._pods.notes,
                *self._machines.notes,
            ),
        )


def source(settings: Settings) -> LiveSource:
    """The source for these settings. Raises SourceError."""
    if not settings.capture:
        return NoCapture()
    return live_source(settings, settings.body_cap)


def node_pods(settings: Settings, source: LiveSource) -> NodePods | NoPods:
    """The pods of this node, if they are asked for."""
    return NoPods() if settings.pods is None else NodePods(settings.pods, source.choose)


def machines(settings: Settings, pods: NodePods | NoPods) -> Machines | NoMachines:
    """The Java virtual machines to attach to. Raises CgroupError."""
    if settings.java is None:
        return NoMachines()
    selection = ProcessSelection(capture_filters(settings))
    return Machines(settings.java, lambda pid: pods.captures(pid) and selection.captures(pid))


def gateways(settings: Settings, reports: Reports) -> GatewayServer | None:
    """The server that gateways report to; None if not configured. Raises ListenError."""
    if settings.telemetry_listen is None:
        return None
    if settings.telemetry_token is None:
        log.warning("telemetry is accepted without a token from any local user (loopback only)")
    return GatewayServer(settings.telemetry_listen, settings.telemetry_token, reports)


def notes(watching: Watching) -> Iterator[str]:
    """Sentences on what is not captured, and why."""
    if watching.limits:
        yield watching.limits
    if watching.tls_refusal:
        yield watching.tls_refusal
    yield from (
        f"{path}: {reason}" for path, reason in watching.failures.items() if reason != watching.tls_refusal
    )
    if watching.unprobed:
        total = sum(watching.unprobed.values(), Unprobed())
        yield (
            f"{total.bytes} bytes of TLS on {total.connections} connections passed before the library of "
            f"their program was probed: {', '.join(sorted(watching.unprobed))}"
        )
    if watching.hung:
        yield watching.hung
    if watching.put_off:
        yield f"TLS inspection of {watching.put_off} processes deferred: too many started at once"


def older(connections: Mapping[str, int]) -> Iterator[str]:
    """What is not seen of connections that had begun before capture, by the process's name."""
    if connections:
        most = sorted(connections.items(), key=lambda entry: (-entry[1], entry[0]))
        named = ", ".join(f"{name}: {count}" for name, count in most)
        yield (
            f"{sum(connections.values())} connections had begun before capture ({named}): they are read "
            f"{HOW_OLDER_ARE_READ}"
        )


def spool_config(settings: Settings) -> SpoolConfig | None:
    """The spool's folder and bounds; None without a spool."""
    if not settings.spool_bytes:
        return None
    return SpoolConfig(
        settings.spool / "spool.db",
        settings.spool_bytes,
        settings.spool_age_s,
        destination(settings.server),
        settings.forward_spool,
    )
