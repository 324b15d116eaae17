"""Reads messages out of one half's segments: framing, bodies, holes, and where to begin again.

h11 reads heads and chunked bodies. A body of known length is counted here, so that a hole inside it does
not break the framing and nothing need be made up to fill it. Where a hole does break it, the reader says
`Broken` and looks for the next message at the starts of segments.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic

import h11

from agent.http.h1.facts import Begun, Broken, Done, Head, Interim, Message
from agent.http.h1.framing import Framing
from agent.http.h1.heads import MAX_HEAD, reason
from agent.http.h1.memory import Heads
from agent.http.messages import (
    Body,
    BodyState,
    Completeness,
    Headers,
)
from agent.http.payload import Payload
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, Segment
from agent.streams.sniff import SEARCH_BYTES, Kind, Search, sniff

HEAD_TOO_LARGE = "head is larger than 64 KiB"
SEGMENT_COST = 160
"""Bytes of memory that a queued segment takes beside its data."""

NOT_HTTP1 = "not HTTP/1"

_SNIFFED = 1024
"""Bytes of an incomplete head after which it is no longer asked whether it is one."""

_EMPTY_LINES = re.compile(rb"[\r\n]*")


def _head_end(data: bytes | bytearray, at: int) -> int:
    """Where the first empty line from `at` on ends; 0 where there is none. A bare LF ends a line too."""
    end = data.find(b"\n\r\n", at) + 3
    bare = data.find(b"\n\n", at, end if end > 2 else len(data)) + 2
    return bare if bare > 1 else end if end > 2 else 0


class MessageReader(Generic[Head, Message]):
    """What both halves have in common; the subclasses know heads and build messages."""

    _kind: Kind

    def __init__(self, counts: Counter[str], cap: int, heads: Heads, synced: bool) -> None:
        self._counts = counts
        self._cap = cap
        self._heads = heads
        self._segments: deque[Segment] = deque()
        self._queued = 0
        self._data = b""
        self._at = 0
        self._time_ns = 0
        self._start_ns = 0
        self._start = bytearray()  # of a head that is not complete yet
        self._facts: deque[Begun[Head] | Done[Message] | Interim | Broken] = deque()
        self._search = Search(counts)
        self._payload = Payload(cap)
        self._left = 0
        self._chunks: h11.Connection | None = None
        self._head: Head | None = None
        self._pipelined = False
        self._sure = synced  # that what starts here is a message
        self._state: Callable[[], None] = self._read_head if synced else self._resync
        self._blocked = False
        self._read_any = False

    @property
    def held(self) -> int:
        """Bytes of memory that wait here, roughly."""
        return self.backlog + len(self._start) + len(self._payload.kept) + len(self._search.joined)

    @property
    def hopeless(self) -> bool:
        """Whether so much was passed over, and never a message found, that there will be none."""
        return not self._read_any and self._search.passed > SEARCH_BYTES

    @property
    def backlog(self) -> int:
        """Bytes of memory received and not looked at yet."""
        return self._queued + len(self._data) - self._at + SEGMENT_COST * len(self._segments)

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

    def take_unread(self) -> list[Segment]:
        """What was received and not looked at: another protocol begins there."""
        unread: list[Segment] = []
        if self._at < len(self._data):
            unread.append(Data(self._time_ns, self._data[self._at :]))
        unread += self._segments
        self._segments.clear()
        self._queued = 0
        self._data, self._at = b"", 0
        return unread

    def end(self, closed: bool, leftover: Bytes) -> None:
        """Nothing more is received: `next` then tells the rest. `closed`: the connection ended here.

        Bytes of no message yet, and what was not looked at, go to the ledger as `leftover`.
        """
        self._count(leftover, self._queued + len(self._data) - self._at)
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
            self._pipelined = at > 0
            if data[at] in b"\r\n":
                at = self._skip_empty_lines()
                if at >= len(data):
                    return
            self._start_ns = self._time_ns
            end = _head_end(data, at)
            if end:
                self._at = end
                self._check_head(data[at:end])
                return
        before = len(self._start)
        self._start += data[at:]
        end = _head_end(self._start, max(0, before - 2))
        if end:
            self._at = at + end - before
            raw = bytes(self._start[:end])
            self._start.clear()
            self._check_head(raw)
            return
        self._at = len(data)
        if len(self._start) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE)
        elif before < _SNIFFED and sniff(bytes(self._start)) not in (self._kind, Kind.UNDECIDED):
            self._refuse(NOT_HTTP1)

    def _skip_empty_lines(self) -> int:
        """Line ends before a message are passed over (RFC 9112 section 2.2)."""
        skipped = _EMPTY_LINES.match(self._data, self._at)
        assert skipped is not None
        self._count(Bytes.PARSED, skipped.end() - self._at)
        self._at = skipped.end()
        return self._at

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

    def _again(self, raw: bytes) -> h11.Connection:
        """A connection that has read this head, which was remembered."""
        raise NotImplementedError

    def _open(self, head: Head, raw: bytes, connection: h11.Connection | None, framing: Framing) -> None:
        self._count(Bytes.PARSED, len(raw))
        self._head = head
        self._sure = self._read_any = True
        if framing.chunked:
            self._chunks = connection or self._again(raw)
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
                    self._payload.add(event.data)
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
            self._search.skip(len(self._data) - self._at)
            self._at = len(self._data)
            return
        self._at = len(self._data)
        kind = self._search.offer(Data(self._time_ns, self._data))
        if kind is self._kind:
            self._sure = False
            self._state = self._read_head
            for segment in reversed(self._search.take()):
                self._push_back(segment)
        elif kind is not Kind.UNDECIDED:
            self._search.drop()

    def _push_back(self, segment: Data) -> None:
        """Makes `segment` the next to be read."""
        self._segments.appendleft(segment)
        self._queued += len(segment.data)

    # What ends a message, or the sequence of them.

    def _finish(
        self,
        trailers: Headers = (),
        cut: Completeness | None = None,
        error: str | None = None,
        size_known: bool = True,
    ) -> None:
        """The message is over: as it should be, or `cut` short."""
        payload, self._payload = self._payload, Payload(self._cap)
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
