"""What the two readers of a connection say of its bytes, for `pair` to make exchanges of."""

from __future__ import annotations

from typing import Generic, TypeVar

from agent.frozen import dataclass
from agent.http.h1.heads import RequestHead, ResponseHead
from agent.http.messages import Completeness, Request, Response

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
