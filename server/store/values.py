"""Values that enter the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.wire import SubOperation
from server.analysis.specs.amending.patches import Change
from server.store.rows import DeviationState, OperationKind

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
WORKLOAD_PREFIX = "workload:"
"""Prefix of a declared name that is a workload (NAMESPACE/NAME) instead of a host."""
MAX_NAMES = 500
"""Names of sub-operations of one operation; further ones count under one name of their protocol and kind."""
MAX_OTHERS = 100
"""Such protocols and kinds of one operation; further ones count as one."""
OTHER_NAMES = "(other)"
MAX_TITLE = 200  # characters of a title or version; documents may have megabytes


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one exchange adds to the counters. `status` is None without a response; `bucket` is the latency
    bucket, None without a known duration. `time` is that of the first view; `last` that of the last view, if
    later. An `uncertain` exchange may be another one, seen from the other end.
    """

    operation: int
    consumer: int
    status: int | None
    time: int
    bucket: int | None
    verdict: str | None
    fault: str | None = None
    last: int = 0
    uncertain: bool = False
    sub_operations: tuple[SubOperation, ...] = ()

    @property
    def hour(self) -> int:
        return self.time // HOUR_NS


class HostRoute(NamedTuple):
    """A workload under a host and path; `source` is the object that says so, such as "Ingress shop/web"."""

    host: str
    path: str
    source: str
    namespace: str
    workload: str


class RoutedWorkload(NamedTuple):
    """The workload that a host and path lead to."""

    cluster: str | None
    namespace: str
    workload: str


class LoneView(NamedTuple):
    """A view that was settled alone. Its other half is found by mark (analysis/witnesses.py), likeness
    (analysis/likeness.py) or both. `time` is the record's.
    """

    number: int
    mark: int | None
    likeness: int | None
    time: int


class DeliveredStart(NamedTuple):
    """A start of an agent, and when it delivered last (ns). Agents of two clusters may have one name."""

    cluster: str | None
    agent: str
    epoch: str
    time: int


class StoredView(NamedTuple):
    """One view of an exchange, whose number is that of its first view; `raw` is the packed record."""

    number: int
    id: str
    exchange: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Covered:
    """The parts of an operation that one exchange exercised, and for which consumers (numbers)."""

    operation: int
    consumers: tuple[int, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One exchange that showed a deviation; `revision` is that of its API's specifications. `time` and `last`
    are those of its Contribution, `exchange` is the id of its newest view.
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
class Leftover:
    """An operation with `count` calls that have no verdict and are not stored. `sampled`: others are."""

    number: int
    key: str
    kind: OperationKind
    method: str
    template: str
    count: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class RetentionBounds:
    """Exchanges are kept for this many days, and within this many bytes."""

    days: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded document, and what it is stated to describe."""

    raw: bytes
    host: str | None = None
    base_path: str | None = None


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """`api` is a number. `host` limits the specification to calls of this host; `base_path` replaces that of
    its server URLs.
    """

    number: int
    id: str
    api: int
    host: str | None
    base_path: str | None


@dataclass(frozen=True, slots=True)
class DeviationDecision:
    """`by` is the name that was given, `time` is in ns; `spec` and `patch` are those of an accepted
    deviation.
    """

    state: DeviationState
    reason: str | None
    by: str | None
    time: int
    spec: str | None = None
    patch: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """The learned state of an API, which replaces the rows `rows`."""

    state: bytes
    rows: frozenset[int]
