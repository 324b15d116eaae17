"""A passive HTTP/1.1 reader for each half of a connection: segments in, facts about messages out."""

from __future__ import annotations

from collections import Counter

import h11

from agent.http.h1.facts import Begun, Interim
from agent.http.h1.framing import Framing, request_framing, response_framing
from agent.http.h1.heads import Refused, RequestHead, ResponseHead, fresh_request, fresh_response
from agent.http.h1.memory import Heads
from agent.http.h1.reader import MessageReader
from agent.http.messages import Body, Headers, Request, Response
from agent.ledger import Bytes
from agent.streams.half import Data
from agent.streams.sniff import Kind

_STATUS_LINE = b"HTTP/1."


class RequestReader(MessageReader[RequestHead, Request]):
    """Reads the client's half."""

    _kind = Kind.REQUEST

    def _take_head(self, raw: bytes) -> None:
        found = self._heads.request(raw)
        if isinstance(found, Refused):
            self._refuse(found.error, raw)
        else:
            head, connection = found
            self._facts.append(Begun(head, self._start_ns, self._pipelined))
            self._open(head, raw, connection, request_framing(head))

    def _again(self, raw: bytes) -> h11.Connection:
        found = fresh_request(raw)
        assert not isinstance(found, Refused)
        return found[1]

    def _message(self, body: Body, trailers: Headers, end_ns: int | None) -> Request:
        head = self._head
        assert head is not None
        return Request(
            head.method, head.target, head.version, head.headers, trailers, body, self._start_ns, end_ns
        )


class ResponseReader(MessageReader[ResponseHead, Response]):
    """Reads the server's half. A head waits until `answer` says which request it belongs to."""

    _kind = Kind.RESPONSE

    def __init__(self, counts: Counter[str], cap: int, heads: Heads, synced: bool) -> None:
        super().__init__(counts, cap, heads, synced)
        self._raw = b""
        self._method: bytes | None = None
        self._body_state = self._read_head

    @property
    def waiting(self) -> int | None:
        """When the head that waits for `answer` began; None where none does."""
        return self._start_ns if self._blocked else None

    @property
    def held(self) -> int:
        """As above, with the head that waits."""
        return super().held + len(self._raw)

    def answer(self, method: bytes | None) -> None:
        """Reads on: the waiting head answers a request of `method`, or one that was not seen (None)."""
        raw, self._raw = self._raw, b""
        self._blocked = False
        found = self._heads.response(raw)
        if isinstance(found, Refused):
            self._refuse(found.error, raw)
            return
        head, connection = found
        if head.status < 200 and head.status != 101:
            self._count(Bytes.PARSED, len(raw))
            self._sure = self._read_any = True
            self._facts.append(Interim(head.status))
            return
        self._method = method
        self._open(head, raw, connection, response_framing(head, method))

    def end(self, closed: bool, leftover: Bytes) -> None:
        """As above, with the head that waits."""
        self._count(leftover, len(self._raw))
        self._raw = b""
        self._blocked = False
        super().end(closed, leftover)

    def _take_head(self, raw: bytes) -> None:
        self._raw = raw
        self._blocked = True

    def _again(self, raw: bytes) -> h11.Connection:
        found = fresh_response(raw)
        assert not isinstance(found, Refused)
        return found[1]

    def _open(
        self, head: ResponseHead, raw: bytes, connection: h11.Connection | None, framing: Framing
    ) -> None:
        super()._open(head, raw, connection, framing)
        if self._method is None and self._head is not None:
            self._body_state, self._state = self._state, self._read_doubtful_body

    def _read_doubtful_body(self) -> None:
        """The request was not seen: if it was a HEAD, what follows is no body but the next response."""
        self._start += self._data[self._at :]
        self._at = len(self._data)
        if len(self._start) < len(_STATUS_LINE) and _STATUS_LINE.startswith(self._start):
            return
        again = bytes(self._start)
        self._start.clear()
        self._push_back(Data(self._time_ns, again))
        self._state = self._body_state
        if again.startswith(_STATUS_LINE):
            self._finish()

    def _message(self, body: Body, trailers: Headers, end_ns: int | None) -> Response:
        head = self._head
        assert head is not None
        return Response(head.status, head.version, head.headers, trailers, body, self._start_ns, end_ns)
