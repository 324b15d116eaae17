"""The operator's choices about redaction. All other rules are fixed, so that agents agree."""

from __future__ import annotations

from dataclasses import dataclass

NEVER_KEPT = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-forwarded-client-cert"}
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices.

    `bodies` off ships heads only. `body_limit` bounds a body after content decoding, in bytes.
    `aggregation_header` names the one extra request header whose value is kept. `mask_names` adds names
    whose values are masked and `keep_names` names whose values are not (headers, cookies excepted,
    parameters, fields); what looks like a secret is masked under any name. Case, `-`, `_` and `.` do not
    matter in either.
    `websocket` keeps JSON texts of WebSocket connections, up to `body_limit` bytes each way.
    Raises ValueError if the aggregation header is one that carries credentials.
    """

    bodies: bool = True
    body_limit: int = 64 * 1024
    aggregation_header: str | None = None
    mask_names: frozenset[str] = frozenset()
    keep_names: frozenset[str] = frozenset()
    websocket: bool = False

    @property
    def text_limit(self) -> int:
        """Bytes kept of the JSON texts in each half of a WebSocket connection."""
        return self.body_limit if self.websocket and self.bodies else 0

    def __post_init__(self) -> None:
        if self.aggregation_header is not None and self.aggregation_header.lower() in NEVER_KEPT:
            raise ValueError(f"aggregation header: {self.aggregation_header} carries credentials")
