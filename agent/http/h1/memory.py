"""Reads heads with a memory: h11 is the largest cost here, and two kinds of heads avoid it.

These are ordinary heads (`ordinary`), and heads that are byte for byte equal to earlier ones, since polling
clients and servers under load repeat themselves. A head is kept only when it comes a second time, so that one
that differs with each message (and may hold a secret) is not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import h11

from agent.http.h1 import ordinary
from agent.http.h1.heads import Refused, RequestHead, ResponseHead, fresh_request, fresh_response
from agent.http.messages import header

MAX_REMEMBERED = 512
"""Remembered heads, of requests and of responses each; at the bound all are forgotten."""

MAX_REMEMBERED_LENGTH = 2048
"""Bytes of a remembered head."""

MAX_ONCE = 8192
"""Heads that came once, remembered only by a hash."""

Head = TypeVar("Head", RequestHead, ResponseHead)


class Heads:
    """Reads the heads of all connections of a table; its memory ends with it."""

    def __init__(self) -> None:
        self._requests = Recurring(_request)
        self._responses = Recurring(_response)

    def request(self, raw: bytes) -> tuple[RequestHead, h11.Connection | None] | Refused:
        """Like `fresh_request`; without an h11 connection if h11 was not needed."""
        return self._requests.read(raw)

    def response(self, raw: bytes) -> tuple[ResponseHead, h11.Connection | None] | Refused:
        """Like `fresh_response`; without an h11 connection if h11 was not needed."""
        return self._responses.read(raw)


class Recurring(Generic[Head]):
    """Heads that came at least twice, by their bytes; `fresh` reads others."""

    def __init__(self, fresh: Callable[[bytes], tuple[Head, h11.Connection | None] | Refused]) -> None:
        self._fresh: Callable[[bytes], tuple[Head, h11.Connection | None] | Refused] = fresh
        self._once: set[int] = set()
        self._heads: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> tuple[Head, h11.Connection | None] | Refused:
        """The head in `raw`; with the h11 connection if h11 read it now."""
        known = self._heads.get(raw)
        if known is not None:
            return known, None
        found = self._fresh(raw)
        if not isinstance(found, Refused):
            self._remember(raw, found[0])
        return found

    def _remember(self, raw: bytes, head: Head) -> None:
        if len(raw) > MAX_REMEMBERED_LENGTH or header(head.headers, b"transfer-encoding") is not None:
            return  # h11 must read the head itself to read a chunked body
        mark = hash(raw)  # randomised by process; two heads with one hash are remembered sooner, no more
        if mark in self._once:
            if len(self._heads) >= MAX_REMEMBERED:
                self._heads.clear()
            self._heads[raw] = head
            return
        if len(self._once) >= MAX_ONCE:
            self._once.clear()
        self._once.add(mark)


def _request(raw: bytes) -> tuple[RequestHead, h11.Connection | None] | Refused:
    found = ordinary.request(raw)
    if found is None:
        return fresh_request(raw)
    method, target, headers = found
    return RequestHead(method, target, b"1.1", headers, None), None


def _response(raw: bytes) -> tuple[ResponseHead, h11.Connection | None] | Refused:
    found = ordinary.response(raw)
    if found is None:
        return fresh_response(raw)
    status, headers = found
    return ResponseHead(status, b"1.1", headers), None
