"""Which calls of the self-test were captured: events in, outcomes out. Pure, like the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from agent.doctor.ends import H2, PATH, PLAIN, TLS
from agent.doctor.facts import Outcome, Trial
from agent.events import PACKET, Address, Chunk, Closed, ConnectionKey, Event, Opened, Role, Tick
from agent.http.connections import ObservedExchange, connections
from agent.http.messages import Completeness, Exchange
from agent.ledger import Bytes, Ledger
from agent.probes import tls
from agent.streams.conversation import ConnectionInfo, Dismissed
from agent.streams.table import Limits

BODY_CAP = 1024
PLAIN_SOURCES = frozenset({"socket", PACKET})
BOTH = frozenset({Role.CLIENT, Role.SERVER})
TITLES = {PLAIN: "HTTP/1.1", TLS: "HTTP/1.1 over TLS", H2: "HTTP/2"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: to the server's `port`, with a unique id."""

    protocol: str
    port: int
    id: str


class Trials:
    """`feed` returns the connections whose bytes the source may stop sending, as the pipeline does."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = {call.port: call for call in calls}
        self._table = connections(Limits(), BODY_CAP, Ledger())
        self._call_of: dict[ConnectionKey, Call] = {}
        self._witnesses: dict[str, set[Role]] = {call.protocol: set() for call in calls}
        self._arrived: set[str] = set()
        self._dismissed: dict[str, Bytes] = {}
        self._now = 0

    @property
    def complete(self) -> bool:
        """Whether every call has been seen at both ends."""
        return all(witnesses == BOTH for witnesses in self._witnesses.values())

    def feed(self, event: Event) -> list[Dismissed]:
        """Takes the source's next event; events of other programs' connections are ignored."""
        if isinstance(event, Tick):
            self._now = event.time_ns
            return self._learn(self._table.tick(event.time_ns))
        if isinstance(event, (Opened, Chunk)):
            call = self._calls.get(_port(event.local)) or self._calls.get(_port(event.peer))
            if call is not None:
                self._call_of[event.connection] = call
                return self._follow(event)
        elif isinstance(event, Closed) and event.connection in self._call_of:
            return self._follow(event)
        return []

    def finish(self) -> None:
        """Takes the end of the source."""
        self._learn(self._table.finish(self._now))

    def verdict(self, protocol: str) -> Trial:
        """The outcome of a call."""
        title, seen = TITLES[protocol], self._witnesses[protocol]
        outcome, what, cure = self._outcome(protocol, seen)
        return Trial(protocol, outcome, Role.CLIENT in seen, Role.SERVER in seen, f"{title}: {what}", cure)

    def _follow(self, event: Opened | Chunk | Closed) -> list[Dismissed]:
        self._now = event.time_ns
        call = self._call_of[event.connection]
        if isinstance(event, Chunk) and event.data and self._is_way(call, event.connection):
            self._arrived.add(call.protocol)
        return self._learn(self._table.feed(event))

    def _learn(self, facts: list[ObservedExchange | Dismissed]) -> list[Dismissed]:
        dismissed = []
        for fact in facts:
            if isinstance(fact, Dismissed):
                dismissed.append(fact)
                call = self._call(fact.connection)
                if call is not None:
                    self._dismissed[call.protocol] = fact.bucket
            else:
                self._witness(*fact)
        return dismissed

    def _witness(self, seen: ConnectionInfo, exchange: Exchange) -> None:
        call = self._call(seen.connection)
        if call is None or not _is_whole(exchange, call):
            return
        if seen.connection.source == PACKET:  # passed between both ends
            self._witnesses[call.protocol] |= BOTH
        elif seen.role is not None:
            self._witnesses[call.protocol].add(seen.role)

    def _call(self, connection: ConnectionKey) -> Call | None:
        """The call that this connection can show, if any."""
        call = self._call_of.get(connection)
        return call if call is not None and self._is_way(call, connection) else None

    @staticmethod
    def _is_way(call: Call, connection: ConnectionKey) -> bool:
        """Whether this connection can show the call: TLS calls in the library, all others at the socket."""
        return (connection.source in PLAIN_SOURCES) == (call.protocol != TLS)

    def _outcome(self, protocol: str, seen: set[Role]) -> tuple[Outcome, str, str | None]:
        if seen == BOTH:
            return Outcome.SEEN, "captured at both ends", None
        if seen:
            (role,) = seen
            cure = "run doctor again; if it persists, report it with the output of --json"
            return Outcome.PARTLY, f"captured only at the {role} only", cure
        if protocol in self._dismissed:
            what = f"recognised but not parsed: its bytes are counted as {self._dismissed[protocol]}"
            return Outcome.UNPARSED, what, "use a version of spectap that parses it"
        if protocol in self._arrived:
            cure = "report it, with the output of --json"
            return Outcome.UNPARSED, "its bytes are captured, but no exchange was parsed", cure
        if protocol == TLS:
            cure = f"see above and below for what keeps {tls.TITLES} from being probed"
            return Outcome.UNSEEN, "its plaintext is not captured", cure
        return Outcome.UNSEEN, "nothing was captured", "see above for what the host does not allow"


def _port(address: Address | None) -> int:
    return address.port if address else 0


def _is_whole(exchange: Exchange, call: Call) -> bool:
    """Whether the exchange is the call, complete, with the right request and response."""
    request, response = exchange.request, exchange.response
    return (
        exchange.completeness is Completeness.COMPLETE
        and request is not None
        and request.target == (PATH + call.id).encode()
        and response is not None
        and response.status == 200
        and response.body.data == call.id.encode()
    )
