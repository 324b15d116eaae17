"""What a connection speaks, once that is known: HTTP/1 or HTTP/2, from segments of both halves to exchanges.

Either can be asked for the same: `receive` takes a segment, `advance` tells what is settled, `end` tells
the rest. An HTTP/1 talk that was upgraded to h2c names the talk that goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from agent.events import Direction, Role
from agent.http.h1.pairing import Pair
from agent.http.h1.readers import RequestReader, ResponseReader
from agent.http.h2.streams import H2C, Http2
from agent.http.messages import Exchange, Request
from agent.ledger import Bytes
from agent.streams.half import Segment

HOLD_NS = 200_000_000
"""How long a response waits for its request, in event time."""

HOLD_BYTES = 256 * 1024
"""What may queue up behind a message that waits."""

OTHER_WAY = {Direction.SENT: Direction.RECEIVED, Direction.RECEIVED: Direction.SENT}

Spoken = tuple[Role, Exchange]
"""An exchange and what the watched process is in it."""


class Talk(Protocol):
    """One connection's conversation. `verdict`: the bucket for all further bytes, once it is over."""

    successor: Http2Talk | None

    @property
    def verdict(self) -> Bytes | None: ...

    @property
    def waiting(self) -> bool: ...

    @property
    def held(self) -> int: ...

    def receive(self, direction: Direction, segment: Segment) -> None: ...

    def advance(self, now_ns: int) -> list[Spoken]: ...

    def end(self, closed: bool, leftover: Bytes) -> list[Spoken]: ...


class Opening(Protocol):
    """What is known of one half's beginning: was all of it seen, and when was its last hole."""

    whole: bool
    lost_ns: int


class Http2Talk:
    """`asking` is the direction of the requests, None where a late join leaves it to be found out."""

    waiting = False

    def __init__(
        self, asking: Direction | None, whole: Mapping[Direction, bool], cap: int, counts: Counter[str]
    ) -> None:
        # The watched process's own half first, so that "who asks" tells its role.
        self._halves = (Direction.SENT, Direction.RECEIVED)
        index = None if asking is None else self._halves.index(asking)
        seen = (whole[Direction.SENT], whole[Direction.RECEIVED])
        self._connection = Http2(counts, cap, index, seen)
        self._settled: list[Exchange] = []
        self.verdict: Bytes | None = None
        self.successor: Http2Talk | None = None

    @property
    def held(self) -> int:
        return self._connection.held

    def upgraded(self, request: Request, ordinal: int) -> None:
        self._connection.upgraded(request, ordinal)

    def receive(self, direction: Direction, segment: Segment) -> None:
        self._settled += self._connection.read(self._halves.index(direction), segment)

    def advance(self, now_ns: int) -> list[Spoken]:
        if self._connection.hopeless:
            self.verdict = Bytes.NOT_HTTP
        return self._spoken()

    def end(self, closed: bool, leftover: Bytes) -> list[Spoken]:
        self._settled += self._connection.end(closed)
        return self._spoken()

    def _spoken(self) -> list[Spoken]:
        role = Role.CLIENT if self._connection.asking == 0 else Role.SERVER
        settled, self._settled = self._settled, []
        return [(role, exchange) for exchange in settled]


class Http1Talk:
    """A conversation of which it is known that `asking` is the direction of the requests."""

    def __init__(
        self,
        asking: Direction,
        opening: Mapping[Direction, Opening],
        late: bool,
        cap: int,
        counts: Counter[str],
    ) -> None:
        asks, answers = opening[asking], opening[OTHER_WAY[asking]]
        self._asking = asking
        self._cap, self._counts = cap, counts
        self.successor: Http2Talk | None = None
        self._role = Role.CLIENT if asking is Direction.SENT else Role.SERVER
        self._pair = Pair(
            late=late, fenced=not asks.whole, response_lost=not answers.whole, lost_ns=answers.lost_ns
        )
        self._requests = RequestReader(counts, cap, synced=asks.whole)
        self.responses = ResponseReader(counts, cap, synced=answers.whole)
        self.verdict: Bytes | None = None

    @property
    def waiting(self) -> bool:
        """Whether a response waits for its request."""
        return self.responses.waiting is not None

    @property
    def held(self) -> int:
        return self._requests.held + self.responses.held + self._pair.held

    def receive(self, direction: Direction, segment: Segment) -> None:
        if direction is self._asking:
            self._requests.receive(segment)
        else:
            self.responses.receive(segment)

    def advance(self, now_ns: int) -> list[Spoken]:
        self._read(now_ns, must=False)
        if self._pair.upgraded == H2C:
            return self._go_on_as_http2()
        if self._pair.upgraded is not None:
            self._stop(Bytes.OPAQUE)
        elif self._pair.switching and self._requests.backlog > HOLD_BYTES:
            self._stop(Bytes.OPAQUE)  # the answer was not seen, but by the amount it must have been yes
        elif self._requests.hopeless or self.responses.hopeless:
            self._stop(Bytes.NOT_HTTP)
        return self._spoken()

    def end(self, closed: bool, leftover: Bytes) -> list[Spoken]:
        self._read(0, must=True)
        if self._pair.upgraded is not None or self._pair.switching:
            leftover = Bytes.OPAQUE
        self._finish(closed, leftover)
        return self._spoken()

    def _read(self, now_ns: int, must: bool) -> None:
        pair = self._pair
        while True:
            self._read_requests()
            switching = pair.switching
            self._read_responses(now_ns, must)
            if not switching or pair.switching or pair.upgraded is not None:
                return  # else the offer was declined, and what was held back are requests

    def _read_requests(self) -> None:
        requests, pair = self._requests, self._pair
        while not pair.switching and (fact := requests.next()) is not None:
            pair.on_request(fact)

    def _read_responses(self, now_ns: int, must: bool) -> None:
        responses, pair = self.responses, self._pair
        while pair.upgraded is None:
            if (fact := responses.next()) is not None:
                pair.on_response(fact)
                continue
            began = responses.waiting
            if began is None:
                return
            decide = must or now_ns - began >= HOLD_NS or responses.backlog > HOLD_BYTES
            if not pair.bind(began, decide):
                return
            responses.answer(pair.method)

    def _go_on_as_http2(self) -> list[Spoken]:
        """The request that offered it is stream 1 (RFC 7540 section 3.2): one exchange, told once."""
        exchanges = self._pair.take()
        talk = Http2Talk(self._asking, dict.fromkeys(Direction, True), self._cap, self._counts)
        request = exchanges[-1].request if exchanges else None
        if request is not None:
            talk.upgraded(request, exchanges.pop().ordinal)
        spoken = [(self._role, exchange) for exchange in exchanges]
        for way, reader in ((self._asking, self._requests), (OTHER_WAY[self._asking], self.responses)):
            for segment in reader.take_unread():
                talk.receive(way, segment)
        self.successor = talk
        return spoken + talk.advance(0)

    def _stop(self, verdict: Bytes) -> None:
        self.verdict = verdict
        self._finish(False, verdict)

    def _finish(self, closed: bool, leftover: Bytes) -> None:
        """Settles what has begun; what is not read by now goes to `leftover`."""
        requests, responses, pair = self._requests, self.responses, self._pair
        cut_response = responses.within_head
        requests.end(closed, leftover)
        while (asked := requests.next()) is not None:
            pair.on_request(asked)
        responses.end(closed, leftover)
        while (answered := responses.next()) is not None:
            pair.on_response(answered)
        pair.end(closed, cut_response)

    def _spoken(self) -> list[Spoken]:
        return [(self._role, exchange) for exchange in self._pair.take()]
