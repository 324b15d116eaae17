"""An HTTP/1 connection: two readers, paired. A response waits a moment for its request, since the two halves
may be captured on different CPUs.
"""

from __future__ import annotations

from agent.events import Direction
from agent.http.conversation import ROLES, HalfStart, Handover, Shared
from agent.http.h1.facts import RequestFact, ResponseFact
from agent.http.h1.head_readers import RequestHeads, ResponseHeads
from agent.http.h1.messages import Messages
from agent.http.h1.pairing import Pairer
from agent.http.messages import Exchange
from agent.http.successors import SUCCESSORS, Protocol
from agent.ledger import Bytes
from agent.streams.conversation import Conversation
from agent.streams.half import Segment

HOLD_NS = 200_000_000
"""How long a response waits for its request, in event time."""

HOLD_BYTES = 256 * 1024
"""Bytes that may queue behind a waiting message."""


class Http1:
    """See `agent.streams.conversation.Conversation`."""

    def __init__(self, shared: Shared, handover: Handover) -> None:
        direction = handover.request_direction
        assert direction is not None
        requests, responses = handover.halves[direction], handover.halves[direction.opposite]
        self._shared = shared
        self._request_direction = direction
        self.role = ROLES[direction]
        self.verdict: Bytes | None = None
        self.successor: Conversation[Exchange] | None = None
        self._pairer = Pairer(
            late=handover.late,
            fenced=not requests.whole,
            response_lost=not responses.whole,
            lost_ns=responses.lost_ns,
        )
        counts, cap = shared.counts, shared.body_cap
        self._response_heads = ResponseHeads(shared.heads)
        self._requests: Messages[RequestFact] = Messages(
            RequestHeads(shared.heads), counts, cap, synced=requests.whole
        )
        self._responses: Messages[ResponseFact] = Messages(
            self._response_heads, counts, cap, synced=responses.whole
        )
        for each, half in handover.halves.items():
            self._queue(each, half.unread)

    @property
    def waiting(self) -> bool:
        """Whether a response waits for its request."""
        return self._responses.waiting_since is not None

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        return self._requests.held + self._responses.held + self._pairer.held

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        """The exchanges that the next segments of one half complete."""
        self._queue(direction, segments)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[Exchange]:
        """The exchanges that are complete by now."""
        self._read(now_ns, must=False)
        pairer = self._pairer
        if pairer.upgraded is not None:
            successor = SUCCESSORS.get(pairer.upgraded) or SUCCESSORS.get(pairer.upgraded.lower())
            if successor is not None:
                return self._hand_over(successor)
            self._stop(Bytes.OPAQUE)
        elif pairer.switching and self._requests.backlog > HOLD_BYTES:
            self._stop(
                Bytes.OPAQUE
            )  # the answer was not seen, but so many bytes mean that the switch was accepted
        elif self._requests.hopeless or self._responses.hopeless:
            self._stop(Bytes.NOT_HTTP)
        return pairer.drain()

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        """The remaining exchanges."""
        self._read(0, must=True)
        if self._pairer.upgraded is not None or self._pairer.switching:
            leftover = Bytes.OPAQUE
        self._finish(closed, leftover)
        return self._pairer.drain()

    def _queue(self, direction: Direction, segments: list[Segment]) -> None:
        receive = (self._requests if direction is self._request_direction else self._responses).receive
        for segment in segments:
            receive(segment)

    def _read(self, now_ns: int, must: bool) -> None:
        pairer = self._pairer
        while True:
            self._read_requests()
            switching = pairer.switching
            self._read_responses(now_ns, must)
            if not switching or pairer.switching or pairer.upgraded is not None:
                return  # else the offer was declined, and the held bytes are requests

    def _read_requests(self) -> None:
        requests, pairer = self._requests, self._pairer
        while not pairer.switching and (fact := requests.next()) is not None:
            pairer.on_request(fact)

    def _read_responses(self, now_ns: int, must: bool) -> None:
        responses, pairer = self._responses, self._pairer
        while pairer.upgraded is None:
            if (fact := responses.next()) is not None:
                pairer.on_response(fact)
                continue
            began = responses.waiting_since
            if began is None:
                return
            decide = must or now_ns - began >= HOLD_NS or responses.backlog > HOLD_BYTES
            if not pairer.match_response(began, decide):
                return
            self._response_heads.expect_method(pairer.method)
            responses.resume()

    def _hand_over(self, protocol: Protocol) -> list[Exchange]:
        """Starts the successor. It gets the exchange with the upgrade, which is not reported here."""
        exchanges = self._pairer.drain()
        upgrade = exchanges.pop() if exchanges and exchanges[-1].request is not None else None
        direction = self._request_direction
        halves = {
            direction: HalfStart(True, None, self._requests.pop_unread()),
            direction.opposite: HalfStart(True, None, self._responses.pop_unread()),
        }
        self.successor = protocol(self._shared, Handover(direction, False, halves, upgrade))
        return exchanges + self.successor.advance(0)

    def _stop(self, verdict: Bytes) -> None:
        self.verdict = verdict
        self._finish(False, verdict)

    def _finish(self, closed: bool, leftover: Bytes) -> None:
        """Finishes open exchanges; unread bytes are counted in `leftover`."""
        requests, responses, pairer = self._requests, self._responses, self._pairer
        cut_response = responses.within_head
        requests.end(closed, leftover)
        while (asked := requests.next()) is not None:
            pairer.on_request(asked)
        responses.end(closed, leftover)
        while (answered := responses.next()) is not None:
            pairer.on_response(answered)
        pairer.end(closed, cut_response)
