"""A passive HTTP/1.1 reader for each half of a connection: segments in, facts about messages out.

h11 reads heads and chunked bodies. A body of known length is counted here, so that a hole inside it does
not break the framing and nothing need be made up to fill it. Where a hole does break it, the reader says
`Broken` and looks for the next message at the starts of segments.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import h11

from agent.http.heads import (
    MAX_HEAD,
    Framing,
    Refused,
    RequestHead,
    ResponseHead,
    read_request,
    read_response,
    reason,
    request_framing,
    response_framing,
)
from agent.http.messages import (
    EMPTY_BODY,
    Body,
    BodyState,
    Completeness,
    Headers,
    Request,
    Response,
)
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, Segment, Why
from agent.streams.sniff import Kind, Search, sniff

DEFAULT_BODY_CAP = 65536
"""Bytes of a body that are kept."""

HEAD_TOO_LARGE = "head is larger than 64 KiB"
NOT_HTTP1 = "not HTTP/1"

_SNIFFED = 1024
"""Bytes of an incomplete head after which it is no longer asked whether it is one."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_STATUS_LINE = b"HTTP/1."

Head = TypeVar("Head", RequestHead, ResponseHead)
Message = TypeVar("Message", Request, Response)


@dataclass(frozen=True, slots=True)
class Begun(Generic[Head]):
    """A head is complete. `pipelined`: it shared a segment with the end of the message before it."""

    head: Head
    start_ns: int
    pipelined: bool


@dataclass(frozen=True, slots=True)
class Done(Generic[Message]):
    """The message that had begun is over; `cut` says how much of it was seen, `error` what was wrong."""

    message: Message
    cut: Completeness
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Interim:
    """A 1xx response; the final one to the same request follows."""

    status: int


@dataclass(frozen=True, slots=True)
class Broken:
    """From here on any number of messages may have passed unread.

    `error` is set where this is due to bytes that are no message, which began at `start_ns`.
    """

    time_ns: int
    start_ns: int
    error: str | None = None


class _Payload:
    """A body as it passes: its true size, and the prefix that is kept."""

    __slots__ = ("_cap", "_hole", "_parts", "kept", "lost", "size")

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._parts: list[bytes] = []
        self._hole = False
        self.kept = 0
        self.size = 0
        self.lost = False

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = self._cap - self.kept
        if room > 0 and not self._hole:
            self._parts.append(data if len(data) <= room else data[:room])
            self.kept += len(self._parts[-1])

    def hole(self, length: int, why: Why) -> None:
        self.size += length
        self._hole = True
        self.lost = self.lost or why is Why.LOST

    def body(self, *, size_known: bool = True, whole: bool = True) -> Body:
        """What was kept. `whole` is false where the end of the body did not come."""
        if whole and not self.size:
            return EMPTY_BODY
        data = b"".join(self._parts)
        return Body(self.size if size_known else None, data, self._state(size_known, whole))

    def _state(self, size_known: bool, whole: bool) -> BodyState:
        if self._hole and not self.kept:
            return BodyState.UNSEEN
        if not size_known or (self.lost and self.kept < self._cap):
            return BodyState.GAP
        return BodyState.COMPLETE if whole and self.kept == self.size else BodyState.TRUNCATED


class _Reader(Generic[Head, Message]):
    """What both halves have in common; the subclasses know heads and build messages."""

    _kind: Kind

    def __init__(self, counts: Counter[str], cap: int, synced: bool) -> None:
        self._counts = counts
        self._cap = cap
        self._segments: deque[Segment] = deque()
        self._queued = 0
        self._data = b""
        self._at = 0
        self._time_ns = 0
        self._start_ns = 0
        self._start = bytearray()  # of a head that is not complete yet
        self._facts: deque[Begun[Head] | Done[Message] | Interim | Broken] = deque()
        self._search = Search(counts)
        self._payload = _Payload(cap)
        self._left = 0
        self._chunks: h11.Connection | None = None
        self._head: Head | None = None
        self._pipelined = False
        self._sure = synced  # that what starts here is a message
        self._state: Callable[[], None] = self._read_head if synced else self._resync
        self._blocked = False
        self.read_any = False

    @property
    def held(self) -> int:
        """Bytes of memory that wait here, roughly."""
        return self.queued + len(self._start) + self._payload.kept

    @property
    def passed(self) -> int:
        """Bytes passed over in search of a message."""
        return self._search.passed

    @property
    def queued(self) -> int:
        """Bytes received and not looked at yet."""
        return self._queued + len(self._data) - self._at

    @property
    def within_head(self) -> bool:
        """Whether a head has begun and is not read yet."""
        return bool(self._start) or self._blocked

    def receive(self, segment: Segment) -> None:
        """Takes the next segment; `next` tells what it means."""
        self._segments.append(segment)
        if isinstance(segment, Data):
            self._queued += len(segment.data)

    def next(self) -> Begun[Head] | Done[Message] | Interim | Broken | None:
        """The next fact, or None until more is received."""
        while not self._facts:
            if self._blocked:
                return None
            if self._at >= len(self._data):
                if not self._segments:
                    return None
                segment = self._segments.popleft()
                if isinstance(segment, Gap):
                    self._gap(segment)
                    continue
                self._data, self._at, self._time_ns = segment.data, 0, segment.time_ns
                self._queued -= len(segment.data)
            self._state()
        return self._facts.popleft()

    def end(self, closed: bool, leftover: Bytes) -> None:
        """Nothing more is received: `next` then tells the rest. `closed`: the connection ended here.

        Bytes of no message yet, and what was not looked at, go to the ledger as `leftover`.
        """
        self._count(leftover, self.queued)
        self._segments.clear()
        self._queued = 0
        self._data, self._at = b"", 0
        self._drop_start(leftover)
        self._search.drop()
        if self._head is None:
            return
        if closed and self._state == self._read_until_close:
            self._finish()
        else:
            self._finish(cut=Completeness.INCOMPLETE if closed else Completeness.GAP)

    # The states. Each consumes some of self._data from self._at.

    def _read_head(self) -> None:
        data, at = self._data, self._at
        if not self._start:
            skipped = _EMPTY_LINES.match(data, at)
            assert skipped is not None
            self._count(Bytes.PARSED, skipped.end() - at)
            at = self._at = skipped.end()
            if at >= len(data):
                return
            self._start_ns = self._time_ns
            self._pipelined = skipped.start() > 0
            blank = _BLANK_LINE.search(data, at)
            if blank is not None:
                self._at = blank.end()
                self._check_head(data[at : self._at])
                return
        before = len(self._start)
        self._start += data[at:]
        blank = _BLANK_LINE.search(self._start, max(0, before - 2))
        if blank is not None:
            self._at = at + blank.end() - before
            raw = bytes(self._start[: blank.end()])
            self._start.clear()
            self._check_head(raw)
            return
        self._at = len(data)
        if len(self._start) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE)
        elif before < _SNIFFED and sniff(bytes(self._start)) not in (self._kind, Kind.UNDECIDED):
            self._refuse(NOT_HTTP1)

    def _check_head(self, raw: bytes) -> None:
        if len(raw) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE, raw)
        elif sniff(raw) is not self._kind:
            self._refuse(NOT_HTTP1, raw)
        else:
            self._take_head(raw)

    def _take_head(self, raw: bytes) -> None:
        """A head, up to and including its empty line."""
        raise NotImplementedError

    def _message(self, body: Body, trailers: Headers, end_ns: int | None) -> Message:
        """The message that is over."""
        raise NotImplementedError

    def _open(self, head: Head, raw: bytes, connection: h11.Connection, framing: Framing) -> None:
        self._count(Bytes.PARSED, len(raw))
        self._head = head
        self._sure = self.read_any = True
        self._facts.append(Begun(head, self._start_ns, self._pipelined))
        if framing.chunked:
            self._chunks = connection
            self._state = self._read_chunks
        elif framing.length is None:
            self._state = self._read_until_close
        elif framing.length:
            self._left = framing.length
            self._state = self._read_counted
        else:
            self._finish()

    def _read_counted(self) -> None:
        data, at = self._data, self._at
        take = min(self._left, len(data) - at)
        self._payload.add(data if take == len(data) else data[at : at + take])
        self._at = at + take
        self._left -= take
        self._count(Bytes.PARSED, take)
        if not self._left:
            self._finish()

    def _read_until_close(self) -> None:
        self._payload.add(self._data[self._at :])
        self._count(Bytes.PARSED, len(self._data) - self._at)
        self._at = len(self._data)

    def _read_chunks(self) -> None:
        connection = self._chunks
        assert connection is not None
        piece = self._data[self._at :]
        self._at = len(self._data)
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    self._payload.add(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    rest = len(connection.trailing_data[0])
                    self._at -= rest
                    self._count(Bytes.PARSED, len(piece) - rest)
                    self._finish(tuple(event.headers))
                    return
        except h11.RemoteProtocolError as error:
            self._count(Bytes.UNSYNCED, len(piece))
            self._finish(cut=Completeness.GAP, error=reason(error), size_known=False)
            self._lose_sync()
            return
        self._count(Bytes.PARSED, len(piece))

    def _resync(self) -> None:
        if self._at:
            self._search.drop()
            self._search.passed += len(self._data) - self._at
            self._count(Bytes.UNSYNCED, len(self._data) - self._at)
            self._at = len(self._data)
            return
        self._at = len(self._data)
        kind = self._search.offer(Data(self._time_ns, self._data))
        if kind is self._kind:
            self._restart(self._search.take())
        elif kind is not Kind.UNDECIDED:
            self._search.drop()

    def _restart(self, found: list[Data]) -> None:
        """Reads the segments that were found to start a message again, as its head."""
        self._sure = False
        self._state = self._read_head
        self._segments.extendleft(reversed(found))
        self._queued += sum(len(segment.data) for segment in found)

    # What ends a message, or the sequence of them.

    def _finish(
        self,
        trailers: Headers = (),
        cut: Completeness | None = None,
        error: str | None = None,
        size_known: bool = True,
    ) -> None:
        """The message is over: as it should be, or `cut` short."""
        payload, self._payload = self._payload, _Payload(self._cap)
        body = payload.body(size_known=size_known, whole=cut is None)
        if cut is None:
            cut = Completeness.COMPLETE
            if payload.lost:
                cut = Completeness.GAP
            elif body.state is not BodyState.COMPLETE:
                cut = Completeness.TRUNCATED
            end_ns = self._time_ns
        else:
            end_ns = None
        self._facts.append(Done(self._message(body, trailers, end_ns), cut, error))
        self._head = None
        self._chunks = None
        self._state = self._read_head

    def _gap(self, gap: Gap) -> None:
        self._time_ns = gap.time_ns
        length = gap.length
        if self._state == self._read_until_close:
            self._payload.hole(length, gap.why)
            return
        if self._state == self._read_counted:
            inside = min(length, self._left)
            self._payload.hole(inside, gap.why)
            self._left -= inside
            length -= inside
            if not self._left:
                self._finish()
            if not length:
                return
        elif self._head is not None:
            self._payload.hole(0, gap.why)
            self._finish(cut=Completeness.GAP, size_known=False)
        self._drop_start(Bytes.UNSYNCED)
        self._search.drop()
        self._lose_sync()

    def _refuse(self, error: str, raw: bytes = b"") -> None:
        """Bytes that stand where a message should start are none."""
        self._count(Bytes.UNSYNCED, len(raw))
        self._search.passed += len(raw)
        self._drop_start(Bytes.UNSYNCED)
        self._lose_sync(error if self._sure else None)

    def _lose_sync(self, error: str | None = None) -> None:
        self._facts.append(Broken(self._time_ns, self._start_ns, error))
        self._state = self._resync

    def _drop_start(self, bucket: Bytes) -> None:
        self._search.passed += len(self._start)
        self._count(bucket, len(self._start))
        self._start.clear()

    def _count(self, bucket: Bytes, length: int) -> None:
        if length:
            self._counts[bucket] += length


class RequestReader(_Reader[RequestHead, Request]):
    """Reads the client's half."""

    _kind = Kind.REQUEST

    def _take_head(self, raw: bytes) -> None:
        found = read_request(raw)
        if isinstance(found, Refused):
            self._refuse(found.error, raw)
        else:
            self._open(found[0], raw, found[1], request_framing(found[0]))

    def _message(self, body: Body, trailers: Headers, end_ns: int | None) -> Request:
        head = self._head
        assert head is not None
        return Request(
            head.method, head.target, head.version, head.headers, trailers, body, self._start_ns, end_ns
        )


class ResponseReader(_Reader[ResponseHead, Response]):
    """Reads the server's half. A head waits until `answer` says which request it belongs to."""

    _kind = Kind.RESPONSE

    def __init__(self, counts: Counter[str], cap: int, synced: bool) -> None:
        super().__init__(counts, cap, synced)
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
        found = read_response(raw, method)
        if isinstance(found, Refused):
            self._refuse(found.error, raw)
            return
        head, connection = found
        if head.status < 200 and head.status != 101:
            self._count(Bytes.PARSED, len(raw))
            self._sure = self.read_any = True
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

    def _open(self, head: ResponseHead, raw: bytes, connection: h11.Connection, framing: Framing) -> None:
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
        self._segments.appendleft(Data(self._time_ns, again))
        self._queued += len(again)
        self._state = self._body_state
        if again.startswith(_STATUS_LINE):
            self._finish()

    def _message(self, body: Body, trailers: Headers, end_ns: int | None) -> Response:
        head = self._head
        assert head is not None
        return Response(head.status, head.version, head.headers, trailers, body, self._start_ns, end_ns)
