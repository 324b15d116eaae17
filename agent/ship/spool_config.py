"""The spool's folder, bounds and server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """`most_bytes` (on disk) and `most_age_s` (seconds) are the bounds.

    `server` is where records are sent; records for another server are sent there only with `forward`. None
    accepts all.
    """

    file: Path
    most_bytes: int
    most_age_s: int
    server: str | None = None
    forward: bool = False
