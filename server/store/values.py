"""What is given to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.analysis.specs.amending.patches import Change
from server.store.rows import DeviationState

HOUR_NS = 3_600_000_000_000
MAX_TITLE = 200  # characters of a title or version, of which documents may hold megabytes


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it came, and what it is said to describe."""

    raw: bytes
    host: str | None = None
    base_path: str | None = None


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """`host` limits it to calls that name this host; `base_path` replaces that of its server URLs."""

    number: int
    id: str
    api: int
    host: str | None
    base_path: str | None


@dataclass(frozen=True, slots=True)
class DeviationDecision:
    """`by` is the name that was given, `time` in ns; `spec` and `patch` are those of what was accepted."""

    state: DeviationState
    reason: str | None
    by: str | None
    time: int
    spec: str | None = None
    patch: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learnt of an API; it stands for these rows."""

    state: bytes
    rows: frozenset[int]
