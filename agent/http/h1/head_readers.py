"""What differs between requests and responses: their heads, and the facts they become."""

from __future__ import annotations

from typing import Protocol, TypeVar

from agent.frozen import dataclass
from agent.http.event_counter import is_event_stream
from agent.http.h1.bodies import BodyReader, CountedBody, body_reader
from agent.http.h1.facts import Interim, RequestBegun, RequestDone, ResponseDone
from agent.http.h1.framing import request_framing, response_framing
from agent.http.h1.heads import Refused, RequestHead, ResponseHead
from agent.http.h1.memory import Heads
from agent.http.messages import Body, Completeness, Headers, Request, Response
from agent.streams.sniff import TrafficKind

Fact_co = TypeVar("Fact_co", covariant=True)


@dataclass(frozen=True, slots=True)
class MessageStart:
    """A message has begun. `body` is None if it has none; `doubtful`: it may have none, since its request was
    not seen and may have been a HEAD; `is_event_stream`: it has server-sent events.
    """

    body: BodyReader | None
    doubtful: bool
    is_event_stream: bool = False


class HeadReader(Protocol[Fact_co]):
    """Reads heads and keeps the one of the current message."""

    @property
    def kind(self) -> TrafficKind:
        """The kind of traffic that the heads are."""
        ...

    def read(self, raw: bytes) -> MessageStart | Interim | Refused | None:
        """Reads the next head, which ends with its empty line. None: its meaning is not known yet;
        `Messages.resume` offers it again.
        """
        ...

    def begun(self, start_ns: int, pipelined: bool) -> Fact_co | None:
        """The fact that a message has begun, if that is reported."""
        ...

    def done(
        self,
        body: Body,
        trailers: Headers,
        start_ns: int,
        end_ns: int | None,
        cut: Completeness,
        error: str | None,
    ) -> Fact_co:
        """The fact that the message is over."""
        ...


class RequestHeads:
    """Heads of the client's half."""

    kind = TrafficKind.REQUEST

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._head: RequestHead | None = None

    def read(self, raw: bytes) -> MessageStart | Interim | Refused | None:
        """See `HeadReader`."""
        found = self._heads.request(raw)
        if isinstance(found, Refused):
            return found
        self._head, connection = found
        return MessageStart(body_reader(request_framing(self._head), connection), False)

    def begun(self, start_ns: int, pipelined: bool) -> RequestBegun:
        """See `HeadReader`."""
        assert self._head is not None
        return RequestBegun(self._head, start_ns, pipelined)

    def done(
        self,
        body: Body,
        trailers: Headers,
        start_ns: int,
        end_ns: int | None,
        cut: Completeness,
        error: str | None,
    ) -> RequestDone:
        """See `HeadReader`."""
        head = self._head
        assert head is not None
        request = Request(
            head.method, head.target, head.version, head.headers, trailers, body, start_ns, end_ns
        )
        return RequestDone(request, cut, error)


class ResponseHeads:
    """Heads of the server's half. A head has no meaning until `expect_method` sets the request it answers."""

    kind = TrafficKind.RESPONSE

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._head: ResponseHead | None = None
        self._bound = False
        self._method: bytes | None = None

    def expect_method(self, method: bytes | None) -> None:
        """Sets the method of the request that the next head answers; None if that was not seen."""
        self._bound, self._method = True, method

    def read(self, raw: bytes) -> MessageStart | Interim | Refused | None:
        """See `HeadReader`."""
        if not self._bound:
            return None
        self._bound = False
        found = self._heads.response(raw)
        if isinstance(found, Refused):
            return found
        head, connection = found
        if head.status < 200 and head.status != 101:
            return Interim(head.status)
        self._head = head
        body = body_reader(response_framing(head, self._method), connection)
        endless = body is not None and not isinstance(body, CountedBody)
        return MessageStart(body, self._method is None, endless and is_event_stream(head.headers))

    def begun(self, start_ns: int, pipelined: bool) -> None:
        """None: of a response only the end is reported."""

    def done(
        self,
        body: Body,
        trailers: Headers,
        start_ns: int,
        end_ns: int | None,
        cut: Completeness,
        error: str | None,
    ) -> ResponseDone:
        """See `HeadReader`."""
        head = self._head
        assert head is not None
        response = Response(head.status, head.version, head.headers, trailers, body, start_ns, end_ns)
        return ResponseDone(response, cut, error)
