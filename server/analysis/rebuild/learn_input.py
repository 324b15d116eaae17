"""Prepares a record for learning, or says why it is not used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from agent.wire import FROM_FILES, Record, Request, Response
from server.analysis.rebuild.body_values import BodyValue, json_of, media_of
from server.analysis.rebuild.masked import Masked
from server.analysis.rebuild.shapes.values import Value
from server.analysis.rebuild.templates.nodes import Fingerprint
from server.analysis.rebuild.templates.template_learner import MOST_SEGMENTS
from server.analysis.specs.judging.tidying import tidied
from server.analysis.specs.routing.routes import segments_of

MOST_PRINTED = 24  # keys of a response in its fingerprint
LONGEST_PATH = 4_096  # bytes

METHODS = frozenset(("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"))


class LearnOutcome(StrEnum):
    """The outcome of learning from a record."""

    LEARNT = "learnt"
    NO_CALL = "no_call"  # a CORS preflight, CONNECT, a method that OpenAPI does not know
    UNSEEN = "unseen"  # the request or response was not captured, or is no HTTP
    REDIRECTED = "redirected"  # to the same path in another form, as from /users to /users/
    TOO_LONG = "too_long"  # its path has too many segments or bytes
    OVER_BOUND = "over_bound"  # its operation is beyond the bound


@dataclass(frozen=True, slots=True)
class LearnInput:
    """One exchange. `hidden` are the indices of segments that are placeholders; `answered` is the response's
    value, None if it cannot be learned. `response` is None where a file states the request alone.
    """

    record: Record
    request: Request
    response: Response | None
    segments: tuple[str, ...]
    masked: Masked
    hidden: frozenset[int]
    answered: BodyValue | None

    @property
    def accepted(self) -> bool:
        """Whether the call succeeded; so did one that a file documents without its answer."""
        return self.response is None or 200 <= self.response.status < 400

    @property
    def fingerprint(self) -> Fingerprint:
        """A fingerprint of the response: equal for equal structures; None if unknown."""
        if self.answered is None:
            return None if self.response is None else media_of(self.response.content_type) or None
        return structure_of(self.answered.value)


def read(record: Record) -> LearnInput | LearnOutcome:
    """The input from a record, or the reason why it is not used."""
    request, response = record.request, record.response
    documented = response is not None or _is_documented(record)
    if request is None or not documented or record.completeness == "malformed":
        return LearnOutcome.UNSEEN
    if request.method not in METHODS or _is_no_call(request):
        return LearnOutcome.NO_CALL
    if response is not None and tidied(request, response) not in (None, request.path):
        return LearnOutcome.REDIRECTED
    if len(request.path) > LONGEST_PATH:
        return LearnOutcome.TOO_LONG
    segments = tuple(segments_of(request.path))
    if len(segments) > MOST_SEGMENTS:
        return LearnOutcome.TOO_LONG
    masked = Masked(record)
    answered = None
    if response is not None:
        answered = json_of(response.body, media_of(response.content_type), "response.body", masked)
    return LearnInput(record, request, response, segments, masked, masked.segments(), answered)


def _is_documented(record: Record) -> bool:
    """Whether a request without an answer is one that a file states; captured, it may be a scanner's."""
    return record.agent == FROM_FILES and record.completeness == "no-response"


def structure_of(value: Value) -> int:
    """A number for a value's top-level structure: equal keys, equal number."""
    if isinstance(value, dict):
        return crc32("\0".join(sorted(value)[:MOST_PRINTED]).encode("utf-8", "surrogatepass"))
    if isinstance(value, list):
        return (structure_of(value[0]) if value else 0) ^ 1
    return crc32(type(value).__name__.encode())


def _is_no_call(request: Request) -> bool:
    """Whether a request belongs to no API: a CORS preflight, or `OPTIONS *`."""
    if request.method != "OPTIONS":
        return False
    names = {name.lower() for name, _ in request.headers}
    return request.path == b"*" or {b"origin", b"access-control-request-method"} <= names
