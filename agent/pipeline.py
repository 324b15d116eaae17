"""The agent's pipeline, top to bottom. Each stage knows only the one before it:

    events                 of a source: the kernel, a recording, captured packets
    → ordered bytes        of each connection's halves, with stated gaps    agent/streams
    → exchanges            of its protocol's messages                       agent/http
    → views                with the process and the ends of that moment     agent/identity
    → views                with ends that became known a little later       agent/late_ends.py
    → views                of tunnels, with the ends beyond the proxy       agent/tunnels.py
    → views                with pods that became known a little later,      agent/late_pods.py
                           without those that opted out
    → records              without secrets                                  agent/redact

It reads no clock and no /proc, so the same events always give the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent import wire
from agent.events import (
    Chunk,
    Clock,
    Closed,
    Event,
    Hello,
    Lost,
    Opened,
    PodGone,
    PodSeen,
    PodsWatched,
    ProcessGone,
    ProcessSeen,
    Tick,
)
from agent.http.connections import ObservedExchange, connections
from agent.identity.directory import Directory
from agent.late_ends import LateEnds
from agent.late_pods import LatePods
from agent.ledger import Bytes, Kernel, Ledger, PartlySeen
from agent.redact.policy import Policy
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits
from agent.tunnels import Tunnels
from agent.views import MakesRecords, Origin, Redaction, Settled

KERNEL = frozenset(Kernel)
MAX_NAMES = 64  # of processes with older connections
UNKNOWN, OTHER = "(unknown)", "(other)"
TURN = 64
"""Events of a live source that are processed together; more gain nothing."""


@dataclass(frozen=True, slots=True)
class Output:
    """The records that events completed. A live source may stop sending the bytes of `dismissed`
    connections.
    """

    records: list[wire.Record]
    dismissed: list[Dismissed]


class Pipeline:
    """All stages, from events to records."""

    def __init__(
        self,
        origin: Origin,
        policy: Policy,
        maker: MakesRecords,
        ledger: Ledger,
        limits: Limits,
    ) -> None:
        """`maker` makes the records: a redactor with this policy."""
        self._ledger = ledger
        self._table = connections(limits, policy.body_limit, ledger, policy.text_limit)
        self._directory = Directory()
        self._late_ends = LateEnds(self._table.ends, self._directory)
        self._tunnels = Tunnels(self._directory)
        self._late_pods = LatePods(self._directory, ledger)
        self._redaction = Redaction(origin, maker, ledger)
        self._clock: Clock | None = None
        self._now_ns = 0
        self.older_connections: Mapping[str, int] = {}
        """Connections that had begun before capture, by the process's name."""

    def process(self, *events: Event) -> Output:
        """The records that these events complete. Several events at a time cost less than single ones: the
        code and tables of one stage stay in the CPU's caches while it works.
        """
        return self._output([fact for event in events for fact in self._settled(event)])

    def finish(self) -> Output:
        """The records of what was open when the source ended."""
        held = [*self._late_ends.finish()]  # while the table still knows the ends
        last = self._identified(self._table.finish(self._now_ns))
        output = self._output([*held, *last, *self._late_ends.finish()])
        return Output([*output.records, *self._records(self._late_pods.finish())], output.dismissed)

    def keep_bodies(self, keep: bool) -> None:
        """Whether bodies are kept from now on. Those left out, here or by the source, are counted."""
        self._redaction.bodies = keep
        self._table.capped_as = Bytes.CAPPED if keep else Bytes.STEPPED_DOWN

    @property
    def connections(self) -> int:
        """Number of connections with state."""
        return len(self._table)

    @property
    def reached_ns(self) -> int:
        """The time up to which the source's events are processed; 0 before the first."""
        return self._now_ns

    @property
    def processes(self) -> int:
        """Number of running processes."""
        return self._directory.processes

    def _settled(self, event: Event) -> Sequence[Settled | Dismissed]:
        """The views that this event completes."""
        match event:
            case Chunk():
                self._now_ns = event.time_ns
                self._ledger.bytes[Bytes.SEEN] += event.length
                if self._tunnels.expected:
                    self._tunnels.chunk(event)
                older = self._table.older
                facts = self._table.feed(event)
                if self._table.older != older:
                    self._count_older(event.pid)
                return self._identified(facts)
            case Opened():
                self._now_ns = event.time_ns
                self._tunnels.opened(event)
                return self._identified(self._table.feed(event))
            case Closed():
                self._now_ns = event.time_ns
                held = [*self._late_ends.end(event.connection)]  # while the table still knows the ends
                return [*held, *self._identified(self._table.feed(event))]
            case Tick():
                self._now_ns = event.time_ns
                found = self._identified(self._table.tick(event.time_ns))
                return [*found, *self._late_ends.due(event.time_ns)]
            case Hello():
                self._tunnels.hello(event)
            case ProcessSeen():
                self._directory.add(event)
            case ProcessGone():
                self._directory.end(event.pid)
            case Lost():
                self._count(event)
            case Clock():
                self._clock = event
                self._directory.boot(event.boot_id)
            case PodSeen():
                if pids := self._directory.add_pod(event):
                    return self._identified(self._table.interrupt(pids))
            case PodGone():
                self._directory.end_pod(event.uid)
            case PodsWatched():
                self._directory.watch_pods(event)
        return ()

    def _identified(self, facts: list[ObservedExchange | Dismissed]) -> Sequence[Settled | Dismissed]:
        """The facts; exchanges with the ends and process known now, unless their ends are waited for."""
        if not facts:
            return ()
        found: list[Settled | Dismissed] = []
        for fact in facts:
            if isinstance(fact, Dismissed):
                found.append(fact)
            else:
                if fact[1].upgraded is not None:
                    self._tunnels.observe(fact)
                found += self._late_ends.take(self._view(fact))
        return found

    def _view(self, observed: ObservedExchange) -> Settled:
        connection, exchange = observed
        process = None if connection.pid is None else self._directory.process(connection.pid)
        return Settled(
            connection=connection,
            exchange=exchange,
            local=self._directory.endpoint(connection.local, process),
            peer=self._directory.peer(connection.peer),
            process=process,
            clock=self._clock,
            now_ns=self._now_ns,
        )

    def _output(self, facts: Sequence[Settled | Dismissed]) -> Output:
        views = [self._tunnels.through(fact) for fact in facts if isinstance(fact, Settled)]
        return Output(
            records=self._records(self._late_pods.pass_on(views, self._now_ns)),
            dismissed=[fact for fact in facts if isinstance(fact, Dismissed)],
        )

    def _records(self, views: Sequence[Settled]) -> list[wire.Record]:
        made = [self._redaction.record(view, self._aggregation_headers(view)) for view in views]
        return [record for record in made if record is not None]

    def _aggregation_headers(self, view: Settled) -> tuple[str, ...]:
        return self._directory.aggregation_headers(view.connection.role, view.process, view.local, view.peer)

    def _count_older(self, pid: int | None) -> None:
        self._ledger.connections[PartlySeen.OLDER] += 1
        process = None if pid is None else self._directory.process(pid)
        name = UNKNOWN if process is None else process.name
        if name not in self.older_connections and len(self.older_connections) >= MAX_NAMES:
            name = OTHER
        known = self.older_connections
        self.older_connections = {**known, name: known.get(name, 0) + 1}  # another thread reads it

    def _count(self, lost: Lost) -> None:
        if lost.what in KERNEL:
            self._ledger.kernel[lost.what] += lost.count
        else:
            self._ledger.bytes[Bytes.SEEN] += lost.count
            self._ledger.bytes[lost.what] += lost.count


def turns(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The events in groups: a few at a time, and a tick ends a group."""
    turn: list[Event] = []
    for event in events:
        turn.append(event)
        if len(turn) >= TURN or isinstance(event, Tick):
            yield turn
            turn = []
    yield turn
