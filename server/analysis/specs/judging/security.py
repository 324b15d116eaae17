"""Whether a request meets an operation's security requirements.

Values are masked, so only presence and the HTTP scheme are checked.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Alternatives, Scheme

Sent = Mapping[Where, Container[str]]


def is_met(alternatives: Alternatives, sent: Sent, scheme: str | None) -> bool:
    """Whether all of any alternative is present. `scheme` is the Authorization header's, if known."""
    return not alternatives or any(
        all(_is_there(wanted, sent, scheme) for wanted in alternative) for alternative in alternatives
    )


def _is_there(wanted: Scheme, sent: Sent, scheme: str | None) -> bool:
    authorized = "authorization" in sent[Where.HEADER]
    match wanted.kind:
        case "apiKey":
            return wanted.where is not None and wanted.name in sent[wanted.where]
        case "http":
            return authorized and (scheme is None or scheme.lower() == wanted.scheme)
        case "oauth2" | "openIdConnect":
            return authorized or "access_token" in sent[Where.QUERY]  # RFC 6750, 2.3
        case _:
            return True  # client certificates are not captured
