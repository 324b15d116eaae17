"""The agent, top to bottom: events → ordered bytes → messages → exchanges → identity → redaction → records.

One object wires the stages; each stage knows only the one before it. It reads no clock and no /proc, so
the same events always make the same records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from agent import wire
from agent.events import (
    Chunk,
    Clock,
    Closed,
    Event,
    Lost,
    Opened,
    ProcessGone,
    ProcessSeen,
    Role,
    Tick,
)
from agent.http.connections import ObservedExchange, connections
from agent.http.messages import Exchange
from agent.identity.directory import Directory
from agent.ledger import Bytes, Exchanges, Kernel, Ledger
from agent.redact.apply import Sighting, to_record
from agent.redact.policy import Policy
from agent.sources.reported import Reported
from agent.sources.tcp import PACKET
from agent.streams.conversation import ConnectionInfo, Dismissed
from agent.streams.table import Limits

log = logging.getLogger(__name__)

KERNEL = frozenset(Kernel)
PLAIN = frozenset({"socket", PACKET})
TURN = 64
"""Events that a live source's records are made of at a time; more gain nothing."""
SIDES = {Role.CLIENT: "client", Role.SERVER: "server"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where this agent watches from."""

    agent: str
    node: str
    cluster: str | None


@dataclass(frozen=True, slots=True)
class Output:
    """What some events completed. A live source may stop sending the bytes of `dismissed` connections."""

    records: list[wire.Record]
    dismissed: list[Dismissed]


class Pipeline:
    """From events to the records they complete."""

    def __init__(
        self,
        place: Place,
        policy: Policy,
        key: bytes,
        ledger: Ledger,
        limits: Limits,
    ) -> None:
        self._place, self._policy, self._key, self._ledger = place, policy, key, ledger
        self._clock = Clock(0, "")
        self._directory = Directory()
        self._table = connections(limits, policy.body_limit, ledger)
        self._now = 0
        self._settled: list[tuple[ObservedExchange, wire.Process | None, Clock, int]] = []
        self._dismissed: list[Dismissed] = []

    def feed(self, *events: Event) -> Output:
        """What these events complete. Several at a time cost less than one after the other: the code and
        the tables of one stage stay in the CPU's caches while it is at work."""
        for event in events:
            self._take(event)
        return self._output()

    def finish(self) -> Output:
        """What was still open when the source ended."""
        self._settle(self._table.finish(self._now))
        return self._output()

    def _output(self) -> Output:
        dismissed, self._dismissed = self._dismissed, []
        return Output(list(self._records()) if self._settled else [], dismissed)

    def _take(self, event: Event) -> None:
        match event:
            case Chunk():
                self._now = event.time_ns
                self._ledger.bytes[Bytes.SEEN] += event.length
                self._settle(self._table.feed(event))
            case Opened() | Closed():
                self._now = event.time_ns
                self._settle(self._table.feed(event))
            case Tick(time_ns):
                self._now = time_ns
                self._settle(self._table.tick(time_ns))
            case ProcessSeen():
                self._directory.see(event)
            case ProcessGone():
                pass  # its last bytes may still come; the table of processes is bounded
            case Lost(what=what, count=count):
                self._count(what, count)
            case Clock():
                self._clock = event
                self._directory.boot(event.boot_id)

    @property
    def connections(self) -> int:
        """Connections that state is held for."""
        return len(self._table)

    @property
    def processes(self) -> int:
        """Processes known."""
        return self._directory.processes

    def _count(self, what: str, count: int) -> None:
        if what in KERNEL:
            self._ledger.kernel[what] += count
        else:
            self._ledger.bytes[Bytes.SEEN] += count
            self._ledger.bytes[what] += count

    def _settle(self, facts: list[ObservedExchange | Dismissed]) -> None:
        """Keeps what an exchange's record will say of now: a later event may change it."""
        for fact in facts:
            if isinstance(fact, Dismissed):
                self._dismissed.append(fact)
                continue
            pid = fact[0].pid
            process = None if pid is None else self._directory.process(pid)
            self._settled.append((fact, process, self._clock, self._now))

    def _records(self) -> Iterator[wire.Record]:
        settled, self._settled = self._settled, []
        for (seen, exchange), process, clock, now_ns in settled:
            sighting = partial(self._sighting, seen, process, clock, now_ns)
            yield from redacted(exchange, sighting, self._policy, self._key, self._ledger)

    def _sighting(
        self, seen: ConnectionInfo, process: wire.Process | None, clock: Clock, now_ns: int
    ) -> Sighting:
        local, peer = self._directory.endpoint(seen.local, process), self._directory.peer(seen.peer)
        client, server = (local, peer) if seen.role is Role.CLIENT else (peer, local)
        if seen.role is None:
            client = server = None
        source = seen.connection.source
        return Sighting(
            agent=self._place.agent,
            node=self._place.node,
            cluster=self._place.cluster,
            offset_ns=clock.offset_ns,
            boot_id=clock.boot_id,
            connection=seen.connection,
            side="unknown" if seen.role is None or source == PACKET else SIDES[seen.role],
            tls=None if source in PLAIN else source,
            client=client,
            server=server,
            process=process,
            seen_ns=now_ns,
        )


def turns(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The events, as many at a time as are worth waiting for: a few, and never beyond a tick."""
    turn: list[Event] = []
    for event in events:
        turn.append(event)
        if len(turn) >= TURN or isinstance(event, Tick):
            yield turn
            turn = []
    yield turn


def redacted(
    exchange: Exchange, sighting: Callable[[], Sighting], policy: Policy, key: bytes, ledger: Ledger
) -> Iterator[wire.Record]:
    """The record of an exchange; none where redaction fails, which is counted. Whoever takes the record
    counts it as parsed, at the moment it is in another bucket as well."""
    try:
        record = to_record(exchange, sighting(), policy, key)
    except Exception as error:
        # What cannot be redacted must not leave; its type is all that may be said of it.
        ledger.exchanges.update((Exchanges.PARSED, Exchanges.REDACTION_FAILED))
        log.error("an exchange could not be redacted and was dropped: %s", type(error).__name__)
    else:
        yield record


def sighting_of(reported: Reported, place: Place) -> Sighting:
    """Who saw a reported exchange: whoever reported it, by the wall's clock."""
    return Sighting(
        agent=place.agent,
        node=place.node,
        cluster=place.cluster,
        offset_ns=0,
        boot_id="",
        connection=reported.connection,
        side=reported.side,
        tls=None,
        client=reported.client,
        server=reported.server,
        process=None,
    )
