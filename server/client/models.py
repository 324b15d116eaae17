"""The objects of the API: APIs, operations, deviations, consumers, agents.

A field that a server does not send is an error, further ones are ignored. Times are RFC 3339 texts in UTC.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct, field


class Model(Struct, frozen=True):
    """An object of the API."""


T = TypeVar("T")


class Page(Model, Generic[T], frozen=True):
    """A part of a list; `next` is the cursor of the following one, None on the last."""

    items: list[T]
    next: str | None


class HostRoute(Model, frozen=True):
    """A host and path under which an Ingress or HTTPRoute leads to an API."""

    host: str
    path: str
    source: str


class Named(Model, frozen=True):
    """A specification by id, title and version."""

    id: str
    title: str
    version: str


class Api(Model, frozen=True):
    """What one host offers."""

    id: str
    name: str
    kind: str
    internal: bool
    hosts: list[str]
    routes: list[HostRoute]
    node: str | None
    process: str | None
    executable: str | None
    port: int | None
    namespace: str | None
    workload: str | None
    cluster: str | None
    exchanges: int
    uncertain: int
    operations: int
    verdicts: dict[str, int]
    first_seen: str | None
    last_seen: str | None
    specs: list[Named]
    merged: list[str]


class Latency(Model, frozen=True):
    """Milliseconds, from the request's first byte to the response's last; accurate to 4.5 %."""

    p50: float | None
    p95: float | None
    p99: float | None


class OperationCaller(Model, frozen=True):
    """A consumer of an operation; `first_seen` is to the hour, if older to the day."""

    kind: str
    name: str
    count: int
    first_seen: str
    last_seen: str


class SubOperationCount(Model, frozen=True):
    """How often; "(other)" counts names beyond 500 of an operation."""

    protocol: str
    kind: str
    name: str
    count: int
    failed: int
    unknown: int


class Operation(Model, frozen=True):
    """A method and a path template; `id` is None for one that was never called."""

    id: str | None
    api: str
    operation: str
    method: str
    template: str
    kind: str
    operation_id: str | None
    deprecated: bool
    count: int
    uncertain: int
    statuses: dict[str, int]
    verdicts: dict[str, int]
    faults: dict[str, int]
    latency_ms: Latency
    callers: list[OperationCaller]
    sub_operations: list[SubOperationCount]
    first_seen: str | None
    last_seen: str | None


class Caller(Model, frozen=True):
    """A consumer and its calls."""

    kind: str
    name: str
    count: int


class StoredDeviation(Model, frozen=True):
    """A difference from a specification, once for all calls that have it."""

    kind: str
    where: str
    pointer: str
    message: str
    severity: str
    fault: str
    id: str
    state: str
    reason: str | None
    decided_by: str | None
    decided: str | None
    api: str
    operation: str
    count: int
    callers: list[Caller]
    first_seen: str
    last_seen: str
    exchange: str | None


class ConsumerCalls(Model, frozen=True):
    """A consumer with the calls that were asked for."""

    id: str
    kind: str
    name: str
    calls: int
    deprecated_calls: int
    operations: int
    apis: int
    first_seen: str
    last_seen: str


class ConsumerOperation(Model, frozen=True):
    """A consumer's calls of an operation."""

    id: str
    api: str
    api_name: str
    operation: str
    deprecated: bool
    calls: int
    statuses: dict[str, int]
    first_seen: str
    last_seen: str


class Agent(Model, frozen=True):
    """A start of an agent. `lag_s` is None if it captures nothing, or an earlier version does not say."""

    agent: str
    epoch: str
    node: str | None
    cluster: str | None
    last_seq: int
    records: int
    first_seen: str
    last_seen: str
    watching: str | None
    lag_s: float | None
    ledger: dict[str, dict[str, int]]


class Balance(Model, frozen=True):
    """A total, and the buckets that must add up to it."""

    total: int
    settled: int
    open: int
    ahead: int
    left_out: list[str]


class Ledger(Model, frozen=True):
    """What became of every byte and exchange; `lag_s` is the largest of all agents."""

    agents: dict[str, dict[str, int]]
    server: dict[str, int]
    lag_s: float | None
    balance: dict[str, Balance]


class SpecInfo(Model, frozen=True):
    """A specification without its document."""

    id: str
    title: str
    version: str
    api: str
    host: str | None
    base_path: str | None
    uploaded: str
    warnings: list[str]


class Uploaded(Model, frozen=True):
    """A specification as it was stored; `warnings` are parts that are not validated."""

    id: str
    api: str
    title: str
    version: str
    operations: int
    warnings: list[str]


class VersionChange(Model, frozen=True):
    """A change of a learned document."""

    operation: str
    part: str
    what: str
    breaking: bool


class Version(Model, frozen=True):
    """A version of a learned document, with the changes since the one before."""

    version: str
    time: str
    breaking: bool
    changes: list[VersionChange]


class VersionDiff(Model, frozen=True):
    """The changes between two versions of a learned document."""

    from_: str = field(name="from")
    to: str
    breaking: bool
    changes: list[VersionChange]


class FacetValue(Model, frozen=True):
    """A value of a field; None where there is none, such as a status without a response."""

    value: str | None
    count: int


class Facets(Model, frozen=True):
    """Counts of the newest 10,000 exchanges that a query selects."""

    total: int
    more: bool
    facets: dict[str, list[FacetValue]]


class PeriodCalls(Model, frozen=True):
    """The calls of a period."""

    time: str
    statuses: dict[str, int]
    verdicts: dict[str, int]
    faults: dict[str, int]


class Stats(Model, frozen=True):
    """Calls over time, oldest first."""

    items: list[PeriodCalls]


class PatchChange(Model, frozen=True):
    """One operation of a JSON Patch (RFC 6902)."""

    op: str
    path: str
    value: Any


class Proposal(Model, frozen=True):
    """A change of a specification under which an accepted deviation conforms."""

    operation: str
    kind: str
    where: str
    pointer: str
    spec: str
    patch: list[PatchChange]
    reason: str | None
    by: str | None
    time: str
