"""What is given to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server.analysis.specs.amending.patches import Change
from server.store.rows import DeviationState

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
WORKLOAD_PREFIX = "workload:"
"""Of a declared name that is a workload, NAMESPACE/NAME, and no host."""
MAX_TITLE = 200  # characters of a title or version, of which documents may hold megabytes


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one exchange adds to the counters; `status` is None where there was no answer, `bucket` one of
    latency where it took no known time. Of its views, `time` is the first's; `last` is the last's, if later.
    """

    operation: int
    consumer: int
    status: int | None
    time: int
    bucket: int | None
    verdict: str | None
    last: int = 0

    @property
    def hour(self) -> int:
        return self.time // HOUR_NS


class StoredView(NamedTuple):
    """One view of an exchange, whose number is that of its first; `raw` is its record, packed."""

    number: int
    id: str
    exchange: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Covered:
    """Which parts of an operation one exchange exercised, and for which consumers (numbers)."""

    operation: int
    consumers: tuple[int, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One exchange that showed a deviation; `revision` counts changes of the API's specifications.
    `time` and `last` are those of its Contribution, `exchange` is the id of its newest view.
    """

    api: int
    consumer: int
    time: int
    exchange: str
    revision: int
    last: int = 0


@dataclass(frozen=True, slots=True)
class Merge:
    """The API `source` turned out to be `target`."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Unsampled:
    """A provisional operation with counts, of which no exchange is stored any more."""

    number: int
    key: str
    method: str
    template: str


@dataclass(frozen=True, slots=True)
class RetentionBounds:
    """Whole exchanges are kept for so many days, and in so many bytes."""

    days: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it came, and what it is said to describe."""

    raw: bytes
    host: str | None = None
    base_path: str | None = None


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """`api` is a number. `host` limits it to calls that name this host; `base_path` replaces that of its
    server URLs.
    """

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
