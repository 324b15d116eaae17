"""The closed vocabularies of a judgement: verdicts, the parts of an exchange, kinds of deviation.

README.md beside this file documents every kind; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is said of one exchange; where several hold, the first in this order wins."""

    SHADOW = "shadow"  # the specification has no such path or method
    DEVIATING = "deviating"  # at least one deviation
    ZOMBIE = "zombie"  # the operation is deprecated, and otherwise conforming
    UNJUDGED = "unjudged"  # nothing found, but part could not be seen; `why` says which
    CONFORMING = "conforming"


class Where(StrEnum):
    """The part of the exchange a deviation is in."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    REQUEST_BODY = "request.body"
    STATUS = "status"
    RESPONSE_HEADER = "response.header"
    RESPONSE_BODY = "response.body"
    SECURITY = "security"


class Kind(StrEnum):
    """What is different from the specification."""

    UNKNOWN_PATH = "unknown-path"
    UNKNOWN_METHOD = "unknown-method"
    UNKNOWN_STATUS = "unknown-status"
    UNKNOWN_CONTENT_TYPE = "unknown-content-type"
    UNKNOWN_PARAMETER = "unknown-parameter"
    UNKNOWN_HEADER = "unknown-header"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_BODY = "unknown-body"
    FORBIDDEN_FIELD = "forbidden-field"
    MISSING_PARAMETER = "missing-parameter"
    MISSING_HEADER = "missing-header"
    MISSING_FIELD = "missing-field"
    MISSING_BODY = "missing-body"
    MALFORMED_BODY = "malformed-body"
    MALFORMED_PARAMETER = "malformed-parameter"
    TYPE = "type"
    FORMAT = "format"
    ENUM = "enum"
    BOUNDS = "bounds"
    PATTERN = "pattern"
    ONE_OF = "one-of"
    READ_ONLY = "read-only"
    WRITE_ONLY = "write-only"
    SECURITY_UNMET = "security-unmet"


class Severity(StrEnum):
    """How much a deviation of a kind matters, as long as nobody says otherwise."""

    HIGH = "high"  # what is not described is reachable, or what must not be known or sent was
    MEDIUM = "medium"  # a client or a server that follows the specification fails on it
    LOW = "low"  # most clients and servers never notice


class Unmentioned(StrEnum):
    """What a specification may leave out, and a policy may leave unreported."""

    FIELDS = "fields"
    PARAMETERS = "parameters"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True)
class KindRow:
    """What holds of a kind wherever it is found.

    `hidden_by_mask`: it cannot be judged of a masked value, whose placeholder keeps type and format alone.
    `unseen_in`: the parts of an exchange in which it may be header fields that were sent and not seen.
    `unmentioned`: which of a policy's settings decides whether it is reported; None where it always is.
    """

    severity: Severity
    hidden_by_mask: bool = False
    unseen_in: frozenset[Where] = frozenset()
    unmentioned: Unmentioned | None = None


KINDS: Mapping[Kind, KindRow] = {
    Kind.UNKNOWN_PATH: KindRow(Severity.HIGH),
    Kind.UNKNOWN_METHOD: KindRow(Severity.HIGH),
    Kind.UNKNOWN_STATUS: KindRow(Severity.MEDIUM),
    Kind.UNKNOWN_CONTENT_TYPE: KindRow(Severity.MEDIUM),
    Kind.UNKNOWN_PARAMETER: KindRow(Severity.LOW, unmentioned=Unmentioned.PARAMETERS),
    Kind.UNKNOWN_HEADER: KindRow(Severity.LOW, unmentioned=Unmentioned.HEADERS),
    Kind.UNKNOWN_FIELD: KindRow(Severity.LOW, unmentioned=Unmentioned.FIELDS),
    Kind.UNKNOWN_BODY: KindRow(Severity.MEDIUM),
    Kind.FORBIDDEN_FIELD: KindRow(Severity.MEDIUM),
    Kind.MISSING_PARAMETER: KindRow(Severity.MEDIUM, unseen_in=frozenset({Where.HEADER, Where.COOKIE})),
    Kind.MISSING_HEADER: KindRow(Severity.MEDIUM),
    Kind.MISSING_FIELD: KindRow(Severity.MEDIUM),
    Kind.MISSING_BODY: KindRow(Severity.MEDIUM),
    Kind.MALFORMED_BODY: KindRow(Severity.MEDIUM),
    Kind.MALFORMED_PARAMETER: KindRow(Severity.MEDIUM),
    Kind.TYPE: KindRow(Severity.MEDIUM),
    Kind.FORMAT: KindRow(Severity.LOW),
    Kind.ENUM: KindRow(Severity.MEDIUM, hidden_by_mask=True),
    Kind.BOUNDS: KindRow(Severity.LOW, hidden_by_mask=True),
    Kind.PATTERN: KindRow(Severity.LOW, hidden_by_mask=True),
    Kind.ONE_OF: KindRow(Severity.MEDIUM, hidden_by_mask=True),
    Kind.READ_ONLY: KindRow(Severity.MEDIUM),
    Kind.WRITE_ONLY: KindRow(Severity.HIGH),
    Kind.SECURITY_UNMET: KindRow(Severity.HIGH, unseen_in=frozenset({Where.SECURITY})),
}
"""A new kind is a row here, the judge that finds it, and a line of the README; `amending` may end it."""
