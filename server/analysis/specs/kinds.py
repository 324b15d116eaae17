"""The enums of a judgement: verdicts, parts of an exchange, kinds of deviation.

README.md beside this file documents every kind, which a test checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The verdict on one exchange; if several apply, the first in this order counts."""

    SHADOW = "shadow"  # the specification has no such path or method
    DEVIATING = "deviating"  # at least one deviation
    ZOMBIE = "zombie"  # the operation is deprecated, and otherwise conforming
    UNJUDGED = "unjudged"  # no deviation found, but part was not validated; `why` says which
    CONFORMING = "conforming"


class Fault(StrEnum):
    """Whose the difference is: judging/fault.py has the table."""

    CALLER = "caller"  # the request was wrong, and the server refused it as it should
    SERVER_LAX = "server-lax"  # the request was wrong, and the server accepted it
    SERVER = "server"  # the server answers otherwise than described, or what is not described


class Where(StrEnum):
    """The part of the exchange with a deviation."""

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
    """The kind of a deviation."""

    UNKNOWN_PATH = "unknown-path"
    UNKNOWN_METHOD = "unknown-method"
    UNKNOWN_STATUS = "unknown-status"
    UNKNOWN_CONTENT_TYPE = "unknown-content-type"
    UNKNOWN_PARAMETER = "unknown-parameter"
    UNKNOWN_HEADER = "unknown-header"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_BODY = "unknown-body"
    UNKNOWN_ANSWER = "unknown-answer"
    UNKNOWN_CREDENTIALS = "unknown-credentials"
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
    """The default severity of a kind."""

    HIGH = "high"  # undocumented traffic is possible, or secret or forbidden data was sent
    MEDIUM = "medium"  # clients or servers that follow the specification fail
    LOW = "low"  # most clients and servers do not notice


class Unmentioned(StrEnum):
    """Parts that a specification may not mention and a policy may leave unreported."""

    FIELDS = "fields"
    PARAMETERS = "parameters"
    HEADERS = "headers"
    ANSWERS = "answers"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class KindRow:
    """The properties of a kind.

    `severity` holds anywhere; `sent` in a request instead, `answered` in an answer, where they are given.
    `hidden_by_mask`: it cannot be checked for a masked value, whose placeholder keeps only type and format.
    `unseen_in`: the parts of an exchange in which uncaptured header fields may explain it. `unmentioned`: the
    policy's setting that decides whether it is reported; None if it always is.
    """

    severity: Severity
    sent: Severity | None = None
    answered: Severity | None = None
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
    Kind.UNKNOWN_ANSWER: KindRow(Severity.LOW, unmentioned=Unmentioned.ANSWERS),
    Kind.UNKNOWN_CREDENTIALS: KindRow(Severity.LOW, unmentioned=Unmentioned.CREDENTIALS),
    Kind.FORBIDDEN_FIELD: KindRow(Severity.MEDIUM, answered=Severity.HIGH),
    Kind.MISSING_PARAMETER: KindRow(Severity.MEDIUM, unseen_in=frozenset({Where.HEADER, Where.COOKIE})),
    Kind.MISSING_HEADER: KindRow(Severity.MEDIUM),
    Kind.MISSING_FIELD: KindRow(Severity.MEDIUM),
    Kind.MISSING_BODY: KindRow(Severity.MEDIUM),
    Kind.MALFORMED_BODY: KindRow(Severity.MEDIUM),
    Kind.MALFORMED_PARAMETER: KindRow(Severity.MEDIUM),
    Kind.TYPE: KindRow(Severity.MEDIUM),
    Kind.FORMAT: KindRow(Severity.LOW, sent=Severity.MEDIUM, hidden_by_mask=True),
    Kind.ENUM: KindRow(Severity.MEDIUM, hidden_by_mask=True),
    Kind.BOUNDS: KindRow(Severity.LOW, sent=Severity.MEDIUM, hidden_by_mask=True),
    Kind.PATTERN: KindRow(Severity.LOW, sent=Severity.MEDIUM, hidden_by_mask=True),
    Kind.ONE_OF: KindRow(Severity.MEDIUM, hidden_by_mask=True),
    Kind.READ_ONLY: KindRow(Severity.MEDIUM),
    Kind.WRITE_ONLY: KindRow(Severity.HIGH),
    Kind.SECURITY_UNMET: KindRow(Severity.HIGH, unseen_in=frozenset({Where.SECURITY})),
}
"""A new kind is a row here, code in `judging` that finds it, and a line of the README; possibly changes in
`amending`.
"""

ANSWER = frozenset({Where.STATUS, Where.RESPONSE_HEADER, Where.RESPONSE_BODY})


def severity_of(kind: Kind, where: Where) -> Severity:
    """The severity of a deviation: what a server accepts unchecked matters more than what it answers."""
    row = KINDS[kind]
    return (row.answered if where in ANSWER else row.sent) or row.severity
