"""Facts from the two halves of an HTTP/1 connection; `pairing` makes exchanges of them."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.http.h1.heads import RequestHead
from agent.http.messages import Completeness, Request, Response


@dataclass(frozen=True, slots=True)
class RequestBegun:
    """A request's head is complete. `pipelined`: it shared a segment with the end of the one before it."""

    head: RequestHead
    start_ns: int
    pipelined: bool


@dataclass(frozen=True, slots=True)
class RequestDone:
    """The current request is over; `cut` says how much of it was seen, `error` what was wrong."""

    request: Request
    cut: Completeness
    error: str | None


@dataclass(frozen=True, slots=True)
class Interim:
    """A 1xx response; the final one to the same request follows."""

    status: int


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A final response is over; `cut` and `error` as of a request."""

    response: Response
    cut: Completeness
    error: str | None


@dataclass(frozen=True, slots=True)
class SyncLost:
    """Any number of messages may have passed unread.

    `error` is set if bytes that are no message, from `start_ns` on, caused this.
    """

    time_ns: int
    start_ns: int
    error: str | None


RequestFact = RequestBegun | RequestDone | Interim | SyncLost
ResponseFact = Interim | ResponseDone | SyncLost
