"""Recognises the protocol of a half's first bytes, and where a message starts after a gap.

`sniff` looks at bytes at a protocol's start. `Search` looks for an HTTP/1 message at the starts of segments
only: a segment is one call of the application, and inside it nothing distinguishes a message from a body that
quotes one.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

from agent.ledger import Bytes
from agent.streams.half import Data


class TrafficKind(StrEnum):
    """The kind of traffic that bytes look like."""

    REQUEST = "request"
    RESPONSE = "response"
    HTTP2 = "http2"
    TLS = "tls"
    UNDECIDED = "undecided"  # too short to decide
    OTHER = "other"


MAX_START_LINE = 8192
"""Bytes of a start line; a longer one is none (RFC 9112 section 3 recommends 8000 octets)."""

SEARCH_BYTES = 1 << 20
"""Bytes without the start of a message; beyond them a connection that never had a message is not HTTP."""

KNOWN_METHODS = (
    "GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|QUERY|PURGE|REPORT|SEARCH|"
    "PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK"
)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_REQUEST = re.compile(rb"%s{1,64} [^\r\n]+ HTTP/1\.[0-9]\r?\n" % _TOKEN)
_LONG_REQUEST = re.compile(rb"(?:%s) (?:/|https?://)[^\r\n]{250}" % KNOWN_METHODS.encode())
_REQUEST_PREFIX = re.compile(rb"%s{1,64}(?: [^\r\n]*\r?)?" % _TOKEN)
_RESPONSE = re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n]")
_RESPONSE_PREFIX = re.compile(
    rb"H(?:T(?:T(?:P(?:/(?:1(?:\.(?:[0-9](?: (?:[1-9](?:[0-9]{1,2})?)?)?)?)?)?)?)?)?)?"
)
_KNOWN_METHOD = re.compile(rb"(?:%s) " % KNOWN_METHODS.encode())
_TLS = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
_TLS_PREFIX = re.compile(rb"[\x14-\x17]\x03?")
_SETTINGS = re.compile(rb"\x00[\x00-\x3f].\x04\x00\x00\x00\x00\x00", re.DOTALL)
_SETTINGS_PREFIX = re.compile(rb"\x00(?:[\x00-\x3f](?:.(?:\x04\x00{0,4})?)?)?", re.DOTALL)
_PREFIXES = (_REQUEST_PREFIX, _RESPONSE_PREFIX, _TLS_PREFIX, _SETTINGS_PREFIX)
_STARTS = (
    (_RESPONSE, TrafficKind.RESPONSE),
    (_REQUEST, TrafficKind.REQUEST),
    (_LONG_REQUEST, TrafficKind.REQUEST),
    (_TLS, TrafficKind.TLS),
    (_SETTINGS, TrafficKind.HTTP2),
)


def sniff(head: bytes) -> TrafficKind:
    """The protocol of a stream that starts with `head`; line ends before a request are skipped.

    HTTP/2 is the client's preface or the server's first SETTINGS frame (RFC 9113 section 3.4).
    """
    if head[:1] in (b"\r", b"\n"):
        head = head.lstrip(b"\r\n")
    if head.startswith(_PREFACE):
        return TrafficKind.HTTP2
    for start, kind in _STARTS:
        if start.match(head):
            return kind
    return TrafficKind.UNDECIDED if _may_become(head) else TrafficKind.OTHER


def _may_become(head: bytes) -> bool:
    if len(head) > MAX_START_LINE:
        return False
    return _PREFACE.startswith(head) or any(prefix.fullmatch(head) for prefix in _PREFIXES)


def sniff_start(head: bytes) -> TrafficKind:
    """Like `sniff`, at a place that may hold anything: only known methods count, since any word could be a
    method.
    """
    head = head.lstrip(b"\r\n")
    kind = sniff(head)
    if kind not in (TrafficKind.REQUEST, TrafficKind.UNDECIDED) or _KNOWN_METHOD.match(head):
        return kind
    if kind is TrafficKind.UNDECIDED and (b" " not in head or _RESPONSE_PREFIX.fullmatch(head)):
        return kind
    return TrafficKind.OTHER


class Search:
    """Looks for a start in segments offered in order; skipped bytes are counted as unsynced.

    `held` are the last segments, which together are a start or may become one; `joined` are their bytes.
    """

    __slots__ = ("_counts", "_held", "joined", "passed")

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._held: list[Data] = []
        self.joined = b""
        self.passed = 0

    def offer(self, segment: Data) -> TrafficKind:
        """The kind of the held segments' start; OTHER if none is held."""
        kind = sniff_start(segment.data)
        if self._held and kind in (TrafficKind.OTHER, TrafficKind.UNDECIDED):
            joined_kind = sniff_start(self.joined + segment.data)
            if joined_kind is not TrafficKind.OTHER:
                self._hold(segment)
                return joined_kind
        self.drop()
        if kind is TrafficKind.OTHER:
            self.skip(len(segment.data))
        else:
            self._hold(segment)
        return kind

    def pop(self) -> list[Data]:
        """Removes and returns the held segments, uncounted."""
        held, self._held, self.joined = self._held, [], b""
        return held

    def drop(self) -> None:
        """Skips the held segments: a gap follows, or they are no start."""
        if self._held:
            self.skip(len(self.joined))
            self.pop()

    def skip(self, length: int) -> None:
        """Counts bytes that are no start, as unsynced."""
        self.passed += length
        self._counts[Bytes.UNSYNCED] += length

    def _hold(self, segment: Data) -> None:
        self._held.append(segment)
        self.joined += segment.data
