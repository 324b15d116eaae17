"""Values that leave the store: a snapshot each. Times are ns since the epoch, UTC; absent is None.

A `number` is the store's own key; an `id` is public, opaque text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Generic, TypeAlias, TypeVar

from agent.wire import Record
from server.analysis.inventory import ApiKind
from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change
from server.analysis.specs.deviation import DeviationIdentity

Row_co = TypeVar("Row_co", covariant=True)

Cursor: TypeAlias = tuple[int, int]
"""The sort key of a page's last row; the next page begins after it."""

AgentLedger: TypeAlias = Mapping[str, Mapping[str, int]]
"""Counts by part (bytes, exchanges, kernel) and bucket."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row_co]):
    """A page of a list, and where the next page begins; None if this is the last page."""

    rows: Sequence[Row_co] = ()
    next: Cursor | None = None


@dataclass(frozen=True, slots=True)
class ConsumerCount:
    """A consumer's number of calls."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class OperationConsumer:
    """A consumer of an operation. Times are rounded to the hour, or to the day for older counts."""

    kind: str
    name: str
    count: int
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class SpecTitle:
    id: str
    title: str
    version: str


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """A host and path that lead to an API's workload; `source` is the object that says so."""

    host: str
    path: str
    source: str


@dataclass(frozen=True, slots=True)
class ApiRow:
    """`exchanges` and `operations` count calls and called operations, `uncertain` exchanges are counted
    apart; `merged` has the ids of APIs that were merged into this one.
    """

    number: int
    id: str
    kind: ApiKind
    name: str
    internal: bool
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
    verdicts: Mapping[str, int]
    first_seen: int | None
    last_seen: int | None
    hosts: Sequence[str]
    routes: Sequence[ApiRoute]
    specs: Sequence[SpecTitle]
    merged: Sequence[str]


class OperationKind(StrEnum):
    """What an operation's key was derived from; the last two are buckets for exchanges without a key."""

    PROVISIONAL = "provisional"  # the path of an exchange
    SPECIFIED = "specified"
    OVERFLOW = "overflow"  # beyond the maximum number of templates
    UNSEEN = "unseen"  # the request was not captured, or is CONNECT


class SubOutcome(IntEnum):
    """What is known of the answer to a sub-operation, as it is stored."""

    SUCCEEDED = 0
    FAILED = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class SubOperationCount:
    """How often requests of an operation asked for this in their bodies; how many of these failed, and of how
    many the answer does not say (`unknown`).
    """

    protocol: str
    kind: str
    name: str
    count: int
    failed: int
    unknown: int


@dataclass(frozen=True, slots=True)
class OperationRow:
    """`key` is, for example, "GET /users/{id}"; `api_id` and `api_name` are its API's; `statuses` has None
    for calls without a response; `latency` is a histogram (analysis/latency.py); `consumers` has the busiest
    ones. These, `verdicts` and `faults` include the `uncertain` exchanges, which `count` does not.
    """

    number: int
    id: str
    api_id: str
    api_name: str
    key: str
    kind: OperationKind
    method: str
    template: str
    operation_id: str | None
    deprecated: bool
    count: int
    uncertain: int
    first_seen: int | None
    last_seen: int | None
    statuses: Mapping[int | None, int]
    latency: Mapping[int, int]
    verdicts: Mapping[str, int]
    faults: Mapping[str, int]
    consumers: Sequence[OperationConsumer]
    sub_operations: Sequence[SubOperationCount]


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """`operation` is None if the exchange is in a bucket; `deviations` include their messages; `views` are in
    order of arrival.
    """

    number: int
    time: int
    api: int
    api_id: str
    operation: str | None
    consumer_kind: str
    consumer_name: str
    verdict: str | None
    why: str | None
    fault: str | None
    deprecated: bool
    duration: int | None
    uncertain: bool
    deviations: Mapping[DeviationIdentity, str]
    views: Sequence[Record]


class DeviationState(StrEnum):
    """The decision on a deviation; `open` if there is none."""

    OPEN = "open"
    ACCEPTED = "accepted"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class DeviationRow:
    """`sample` is the id of an exchange that shows the deviation; None if that was deleted."""

    number: int
    id: str
    api: int
    api_id: str
    identity: DeviationIdentity
    message: str
    first_seen: int
    last_seen: int
    sample: str | None
    state: DeviationState
    reason: str | None
    decided_by: str | None
    decided: int | None
    count: int
    consumers: Sequence[ConsumerCount]


@dataclass(frozen=True, slots=True)
class KnownDeviation:
    """A deviation by its number, whether or not lists show it; its sample may have been deleted."""

    api: int
    identity: DeviationIdentity
    sample: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An accepted deviation: the change of a specification (by id) under which it conforms."""

    identity: DeviationIdentity
    spec: str
    patch: Sequence[Change]
    reason: str | None
    by: str | None
    time: int


@dataclass(frozen=True, slots=True)
class SpecRow:
    """`api` is an id. `host` limits the specification to calls of this host; `base_path` replaces that of its
    server URLs; `warnings` name the parts that are not validated.
    """

    number: int
    id: str
    api: str
    host: str | None
    base_path: str | None
    title: str
    version: str
    uploaded: int
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class SpecDocument:
    """A specification with its uploaded document."""

    row: SpecRow
    raw: bytes

    @property
    def is_json(self) -> bool:
        return self.raw.lstrip()[:1] == b"{"


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One start of an agent; `records` is the number of records it delivered."""

    number: int
    agent: str
    epoch: str
    node: str | None
    cluster: str | None
    last_seq: int
    records: int
    first_seen: int
    last_seen: int
    ledger: AgentLedger
    watching: str | None
    lag_ms: int | None


@dataclass(frozen=True, slots=True)
class CaptureRow:
    """The newest start of an agent: what it captured and its lag when it last delivered (ns); None where it
    does not report that. Agents of two clusters may have one name.
    """

    agent: str
    watching: str | None
    lag_ms: int | None
    last_seen: int
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Totals over all agents and starts, or those of one cluster; each start's agent and ledger; the records
    received from them; and the server's own counts, of one cluster only those since it counts by cluster.
    """

    agents: AgentLedger
    starts: Sequence[tuple[str, AgentLedger]]
    records: int
    server: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """Number of called APIs, of exchanges counted for them, and of those counted apart."""

    apis: int
    exchanges: int
    uncertain: int


@dataclass(frozen=True, slots=True)
class OperationsUse:
    """A number of operations, and of calls."""

    operations: int
    calls: int


@dataclass(frozen=True, slots=True)
class EstateCounts:
    """All APIs in numbers. Calls include uncertain exchanges, as verdicts do. `specified` APIs have a
    specification, `external` ones were only called; `newest` is the time of the newest call (ns).
    """

    apis: int
    specified: int
    external: int
    calls: int
    verdicts: Mapping[str, int]
    deprecated: OperationsUse
    undocumented: OperationsUse
    newest: int | None


@dataclass(frozen=True, slots=True)
class ApiUse:
    """An API's calls, and how many of these were judged and deviate. `title` is that of its newest
    specification.
    """

    id: str
    name: str
    title: str | None
    calls: int
    judged: int
    deviating: int


@dataclass(frozen=True, slots=True)
class DeprecatedUse:
    """A consumer's calls of deprecated operations, of all APIs."""

    id: str
    kind: str
    name: str
    operations: int
    calls: int


class NewcomerKind(StrEnum):
    """What was seen for the first time."""

    API = "api"
    OPERATION = "operation"
    DEVIATION = "deviation"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An API, operation or deviation that was first seen at a time (ns). `name` is an API's name, an
    operation's key, or the kind of a deviation and the key of its operation.
    """

    kind: NewcomerKind
    id: str
    name: str
    api_id: str
    api_name: str
    first_seen: int


@dataclass(frozen=True, slots=True)
class Newcomers:
    """What is new: the latest, and the number of each kind."""

    latest: Sequence[Newcomer]
    counts: Mapping[NewcomerKind, int]


@dataclass(frozen=True, slots=True)
class ApiOperations:
    """An API's calls, and how many of its called operations there are: all, undocumented and deprecated."""

    number: int
    name: str
    cluster: str | None
    calls: int
    called: int
    undocumented: int
    deprecated: int


@dataclass(frozen=True, slots=True)
class DeviationCount:
    """The number of deviations of a kind in a part of an exchange, without ignored ones."""

    kind: str
    where: str
    count: int


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """A consumer with its calls, and those of deprecated operations. Times are rounded to the hour, or to the
    day for older counts.
    """

    number: int
    id: str
    kind: str
    name: str
    calls: int
    deprecated_calls: int
    operations: int
    apis: int
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class ConsumerOperationRow:
    """An operation with a consumer's calls of it, by status (None without a response)."""

    number: int
    id: str
    api_id: str
    api_name: str
    key: str
    deprecated: bool
    calls: int
    statuses: Mapping[int | None, int]
    first_seen: int
    last_seen: int


class FacetField(StrEnum):
    """What exchanges are counted by."""

    API = "api"
    CONSUMER = "consumer"
    FAULT = "fault"
    METHOD = "method"
    OPERATION = "operation"
    STATUS = "status"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many rows have a value; None is no value."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """The number of rows up to a bound, whether there are more, and the most frequent values of some fields
    of these rows.
    """

    rows: int
    more: bool
    values: Mapping[FacetField, Sequence[FacetCount]]


@dataclass(frozen=True, slots=True)
class PeriodCount:
    """Calls in an hour or minute (counted from the epoch) with a class of status, such as "2xx" or "none", a
    verdict and a fault.
    """

    period: int
    status: str
    verdict: str | None
    fault: str | None
    count: int


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """Stored exchanges by minute; if these are not all, the time (ns) of the oldest of them."""

    counts: Sequence[PeriodCount]
    since: int | None


@dataclass(frozen=True, slots=True)
class PartCount:
    """How often a part of an operation was exercised; by everyone if `consumer` is None."""

    operation: str
    consumer: str | None
    part: str
    count: int


@dataclass(frozen=True, slots=True)
class UndescribedCount:
    """Calls that no specification describes; `status` is a class such as "2xx", "none" without a response."""

    method: str
    template: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class Learnable:
    """An exchange to learn from, without its views."""

    number: int
    api: int
    operation: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of an API's learned document, and its changes from the previous version."""

    version: str
    time: int
    document: JsonObject
    changes: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a learned document, and its changes from the previous version."""

    number: int
    version: str
    time: int
    changes: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class RebuiltDecision:
    """A decision on a learned document."""

    number: int
    time: int
    decision: JsonObject
