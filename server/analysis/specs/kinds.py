"""The closed vocabularies of a judgement: verdicts, the parts of an exchange, kinds of deviation.

README.md beside this file documents every kind; a test holds the two together.
"""

from __future__ import annotations

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


HIDDEN_BY_MASK = frozenset({Kind.ENUM, Kind.BOUNDS, Kind.PATTERN, Kind.ONE_OF})
"""Kinds that cannot be judged of a masked value: its placeholder keeps type and format alone."""
