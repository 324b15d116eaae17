"""HTTP as facts: what the parsers say of the bytes, before identity and redaction.

Header names and values, methods and targets are raw bytes in wire order (h11 lower-cases names). Times
are the events' monotonic nanoseconds. Absent is None.
"""

from __future__ import annotations

from enum import StrEnum

from agent.frozen import dataclass

Headers = tuple[tuple[bytes, bytes], ...]


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of `name` (lower case)."""
    for found, value in headers:
        if found == name:
            return value
    return None


class BodyState(StrEnum):
    """How much of a body was seen. `size` is true in all of them but GAP with unknown framing."""

    COMPLETE = "complete"  # all of it is kept (an empty body is complete)
    TRUNCATED = "truncated"  # a prefix is kept: the cap was reached
    GAP = "gap"  # bytes are missing inside; what is kept is the prefix before the hole
    UNSEEN = "unseen"  # it passed, but not one byte could be kept (sendfile, a hole at its start)
    UNDECODABLE = "undecodable"  # the content coding could not be undone; what is kept is what was decoded


class Completeness(StrEnum):
    """How much of an exchange was seen."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"  # a body was cut at the cap; all else is there
    GAP = "gap"  # bytes inside are missing
    LATE_JOIN = "late-join"  # the request went by before we watched
    NO_RESPONSE = "no-response"  # the connection ended first
    INCOMPLETE = "incomplete"  # the connection ended within a message
    MALFORMED = "malformed"  # not parsable as HTTP; `error` says why


@dataclass(frozen=True, slots=True)
class Body:
    """A message's payload after transfer coding, before content coding.

    `size` counts every payload byte that passed, kept or not; None where framing was lost. `coded` is
    false where whoever told of it has undone the content coding that the headers name.
    """

    size: int | None
    data: bytes
    state: BodyState
    coded: bool = True


EMPTY_BODY = Body(0, b"", BodyState.COMPLETE)


@dataclass(frozen=True, slots=True)
class Request:
    method: bytes
    target: bytes
    version: bytes  # b"1.1"
    headers: Headers
    trailers: Headers
    body: Body
    start_ns: int  # time of the chunk that holds the first byte
    end_ns: int | None  # time of the chunk that holds the last byte
    authority: bytes | None = None  # HTTP/2's :authority
    scheme: bytes | None = None  # HTTP/2's :scheme


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    version: bytes
    headers: Headers
    trailers: Headers
    body: Body
    start_ns: int
    end_ns: int | None
    interim: tuple[int, ...] = ()  # 1xx statuses that came before


@dataclass(frozen=True, slots=True)
class Grpc:
    """What gRPC adds to an exchange: its status, and messages each way; None where bytes are missing."""

    status: int | None
    request_messages: int | None
    response_messages: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, as a server says that has checked it. `user` is None where it turned the caller away;
    `acting_as` names whom the user acted as; `facts` hold no name.
    """

    user: str | None
    acting_as: str | None
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its response, as one end of one connection saw them.

    `ordinal` counts exchanges of the connection from 0; in HTTP/2 it is the stream's number. `upgraded`
    names the protocol that took the connection over (Upgrade's value, or b"CONNECT"). `error` is the
    parser's reason where MALFORMED.
    """

    ordinal: int
    request: Request | None
    response: Response | None
    completeness: Completeness
    upgraded: bytes | None = None
    error: str | None = None
    grpc: Grpc | None = None
    fields_unknown: int = 0  # HPACK entries older than our watching; 1 where no headers are told at all
    caller: Caller | None = None
