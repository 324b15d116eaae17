"""The messages of one half of an HTTP/1 connection: heads, bodies, gaps, and where to resynchronise.

| state   | bytes                                          | gap in the half         | end            |
|---------|------------------------------------------------|-------------------------|----------------|
| HEAD    | a whole head: its message begins, to BODY, or  | SEARCH                  |                |
|         | is over, to HEAD; it means nothing yet: WAITING|                         |                |
|         | no head, or too large: SEARCH                  |                         |                |
| WAITING | kept, until `resume`: as in HEAD               |                         |                |
| DOUBT   | another status line: over without a body, to   | over with a gap, SEARCH | incomplete     |
|         | HEAD; anything else: BODY                      |                         |                |
| BODY    | by its framing (`bodies`); its last byte: over,| by its framing; beyond  | by its framing |
|         | to HEAD; none of a body: over with an error,   | it SEARCH               |                |
|         | to SEARCH                                      |                         |                |
| SEARCH  | a segment that starts like a head: HEAD        | SEARCH                  |                |

DOUBT is the state of a response whose request was not seen: if that was a HEAD, no body follows. Each change
to SEARCH is reported as `SyncLost`. Bytes left in HEAD, WAITING or SEARCH at the end belong to no message.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from enum import Enum, auto
from typing import Generic, TypeVar

from agent.http.event_counter import EventCounter
from agent.http.h1.bodies import BodyReader
from agent.http.h1.facts import Interim, SyncLost
from agent.http.h1.head_readers import HeadReader
from agent.http.h1.heads import MAX_HEAD, Refused
from agent.http.h1.segments import SegmentQueue
from agent.http.messages import BodyState, Completeness
from agent.http.payload import BodyAccumulator
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, Segment
from agent.streams.sniff import SEARCH_BYTES, Search, TrafficKind, sniff

HEAD_TOO_LARGE = "head is larger than 64 KiB"
NOT_HTTP1 = "not HTTP/1"

_SNIFFED = 1024
"""Bytes of an incomplete head; beyond them it is no longer checked to be one."""

_STATUS_LINE = b"HTTP/1."
_EMPTY_LINES = re.compile(rb"[\r\n]*")

Fact = TypeVar("Fact")


class ReadState(Enum):
    """What the next bytes are expected to be."""

    HEAD = auto()
    WAITING = auto()
    DOUBT = auto()
    BODY = auto()
    SEARCH = auto()


def _head_end(data: bytes | bytearray, at: int) -> int:
    """Where the first empty line from `at` on ends; 0 if there is none. A bare LF also ends a line."""
    end = data.find(b"\n\r\n", at) + 3
    bare = data.find(b"\n\n", at, end if end > 2 else len(data)) + 2
    return bare if bare > 1 else end if end > 2 else 0


class Messages(Generic[Fact]):
    """Segments in, facts out. `heads` reads requests or responses; `synced`: a message starts at the first
    byte.
    """

    def __init__(self, heads: HeadReader[Fact], counts: Counter[str], cap: int, synced: bool) -> None:
        self._heads = heads
        self._counts = counts
        self._cap = cap
        self._unread = SegmentQueue()
        self._facts: deque[Fact | Interim | SyncLost] = deque()
        self._search = Search(counts)
        self._state = ReadState.HEAD if synced else ReadState.SEARCH
        self._sure = synced  # a message is known to start here
        self._read_any = False
        self._start = bytearray()  # an incomplete head, or what may be a body
        self._start_ns = 0
        self._pipelined = False
        self._head: bytes | None = None  # waits for `resume`
        self._body: BodyReader | None = None
        self._payload = BodyAccumulator(cap)

    @property
    def held(self) -> int:
        """Bytes of memory held, roughly."""
        begun = len(self._start) + (0 if self._head is None else len(self._head))
        return self._unread.held + begun + len(self._payload.kept) + len(self._search.joined)

    @property
    def backlog(self) -> int:
        """Bytes of memory received and not read yet."""
        return self._unread.held

    @property
    def hopeless(self) -> bool:
        """Whether so much was skipped without ever finding a message that there will be none."""
        return not self._read_any and self._search.passed > SEARCH_BYTES

    @property
    def within_head(self) -> bool:
        """Whether a head has begun and is not complete."""
        return bool(self._start) or self._state is ReadState.WAITING

    @property
    def waiting_since(self) -> int | None:
        """When the head that waits for `resume` began; None if none does."""
        return self._start_ns if self._state is ReadState.WAITING else None

    def receive(self, segment: Segment) -> None:
        """Takes the next segment; `next` returns its facts."""
        self._unread.add(segment)

    def resume(self) -> None:
        """Continues with the waiting head, whose meaning is known now."""
        head, self._head = self._head, None
        assert head is not None
        self._state = ReadState.HEAD
        self._open(head)

    def next(self) -> Fact | Interim | SyncLost | None:
        """The next fact, or None until more is received."""
        facts, unread = self._facts, self._unread
        while not facts:
            if self._state is ReadState.WAITING:
                return None
            if unread.at >= len(unread.data):
                segment = unread.load()
                if segment is None:
                    return None
                if isinstance(segment, Gap):
                    self._gap(segment)
                    continue
            state = self._state
            if state is ReadState.HEAD:
                self._read_head()
            elif state is ReadState.BODY:
                self._read_body()
            elif state is ReadState.SEARCH:
                self._search_head()
            else:
                self._resolve_doubt()
        return facts.popleft()

    def pop_unread(self) -> list[Segment]:
        """Removes and returns the unread segments: another protocol begins there."""
        return self._unread.pop_all()

    def end(self, closed: bool, leftover: Bytes) -> None:
        """Ends the half: `next` then returns the remaining facts. `closed`: the connection was closed.

        Bytes of no complete message, and unread ones, are counted as `leftover`.
        """
        if self._head is not None:
            self._count(leftover, len(self._head))
            self._head, self._state = None, ReadState.HEAD
        self._count(leftover, self._unread.clear())
        self._drop_start(leftover)
        self._search.drop()
        if self._state is ReadState.BODY and closed and self._body is not None and self._body.until_close:
            self._finish()
        elif self._state in (ReadState.BODY, ReadState.DOUBT):
            self._finish(cut=Completeness.INCOMPLETE if closed else Completeness.GAP)

    # HEAD

    def _read_head(self) -> None:
        unread = self._unread
        data, at = unread.data, unread.at
        if not self._start:
            self._pipelined = at > 0
            if data[at] in b"\r\n":
                at = self._skip_empty_lines()
                if at >= len(data):
                    return
            self._start_ns = unread.time_ns
            end = _head_end(data, at)
            if end:
                unread.at = end
                self._check_head(data[at:end])
                return
        before = len(self._start)
        self._start += data[at:]
        end = _head_end(self._start, max(0, before - 2))
        if end:
            unread.at = at + end - before
            raw = bytes(self._start[:end])
            self._start.clear()
            self._check_head(raw)
            return
        unread.at = len(data)
        if len(self._start) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE)
        elif before < _SNIFFED and sniff(bytes(self._start)) not in (self._heads.kind, TrafficKind.UNDECIDED):
            self._refuse(NOT_HTTP1)

    def _skip_empty_lines(self) -> int:
        """Skips line ends before a message (RFC 9112 section 2.2)."""
        unread = self._unread
        skipped = _EMPTY_LINES.match(unread.data, unread.at)
        assert skipped is not None
        self._count(Bytes.PARSED, skipped.end() - unread.at)
        unread.at = skipped.end()
        return unread.at

    def _check_head(self, raw: bytes) -> None:
        if len(raw) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE, raw)
        elif sniff(raw) is not self._heads.kind:
            self._refuse(NOT_HTTP1, raw)
        else:
            self._open(raw)

    def _open(self, raw: bytes) -> None:
        opened = self._heads.read(raw)
        if opened is None:
            self._head, self._state = raw, ReadState.WAITING
            return
        if isinstance(opened, Refused):
            self._refuse(opened.error, raw)
            return
        self._count(Bytes.PARSED, len(raw))
        self._sure = self._read_any = True
        if isinstance(opened, Interim):
            self._facts.append(opened)
            return
        begun = self._heads.begun(self._start_ns, self._pipelined)
        if begun is not None:
            self._facts.append(begun)
        self._body = opened.body
        if opened.is_event_stream:
            self._payload.events = EventCounter()
        if opened.body is None:
            self._finish()
        else:
            self._state = ReadState.DOUBT if opened.doubtful else ReadState.BODY

    def _refuse(self, error: str, raw: bytes = b"") -> None:
        """Handles bytes that are no message where one should start."""
        self._count(Bytes.UNSYNCED, len(raw))
        self._search.passed += len(raw)
        self._drop_start(Bytes.UNSYNCED)
        self._lose_sync(error if self._sure else None)

    # DOUBT

    def _resolve_doubt(self) -> None:
        """Decides whether a body or the next response follows."""
        unread = self._unread
        self._start += unread.pop_rest()
        if len(self._start) < len(_STATUS_LINE) and _STATUS_LINE.startswith(self._start):
            return
        again = bytes(self._start)
        self._start.clear()
        unread.put_back([Data(unread.time_ns, again)])
        if again.startswith(_STATUS_LINE):
            self._finish()
        else:
            self._state = ReadState.BODY

    # BODY

    def _read_body(self) -> None:
        unread, body = self._unread, self._body
        assert body is not None
        began = unread.at
        unread.at = body.read(unread.data, began, self._payload)
        error = body.error
        if error is not None:
            self._count(Bytes.UNSYNCED, unread.at - began)
            self._finish(cut=Completeness.GAP, error=error, size_known=False)
            self._lose_sync()
            return
        self._count(Bytes.PARSED, unread.at - began)
        if body.over:
            self._finish()

    def _finish(
        self, cut: Completeness | None = None, error: str | None = None, size_known: bool = True
    ) -> None:
        """Completes the message; `cut` if it did not end properly."""
        payload, self._payload = self._payload, BodyAccumulator(self._cap)
        body = payload.body(size_known=size_known, whole=cut is None)
        trailers = () if self._body is None else self._body.trailers
        end_ns = self._unread.time_ns if cut is None else None
        if cut is None:
            cut = Completeness.COMPLETE
            if payload.lost:
                cut = Completeness.GAP
            elif body.state is not BodyState.COMPLETE:
                cut = Completeness.TRUNCATED
        self._facts.append(self._heads.done(body, trailers, self._start_ns, end_ns, cut, error))
        self._body = None
        self._state = ReadState.HEAD

    # SEARCH

    def _search_head(self) -> None:
        unread = self._unread
        if unread.at:
            self._search.drop()
            self._search.skip(len(unread.pop_rest()))
            return
        kind = self._search.offer(Data(unread.time_ns, unread.pop_rest()))
        if kind is self._heads.kind:
            self._sure = False
            self._state = ReadState.HEAD
            unread.put_back(self._search.pop())
        elif kind is not TrafficKind.UNDECIDED:
            self._search.drop()

    # A gap, in any state but WAITING

    def _gap(self, gap: Gap) -> None:
        if self._state is ReadState.BODY and self._body is not None:
            beyond = self._body.skip(gap.length, gap.why, self._payload)
            if beyond is None:
                self._finish(cut=Completeness.GAP, size_known=False)
            elif self._body.over:
                self._finish()
            if beyond == 0:
                return
        elif self._state is ReadState.DOUBT:
            self._payload.skip(0, gap.why)
            self._finish(cut=Completeness.GAP, size_known=False)
        self._drop_start(Bytes.UNSYNCED)
        self._search.drop()
        self._lose_sync()

    def _lose_sync(self, error: str | None = None) -> None:
        self._facts.append(SyncLost(self._unread.time_ns, self._start_ns, error))
        self._state = ReadState.SEARCH

    def _drop_start(self, bucket: Bytes) -> None:
        self._search.passed += len(self._start)
        self._count(bucket, len(self._start))
        self._start.clear()

    def _count(self, bucket: Bytes, length: int) -> None:
        if length:
            self._counts[bucket] += length
