"""What leaves the store: facts of one moment. Times are ns since the epoch, in UTC; absent is None.

A `number` is the store's own key, an `id` is what the outside sees: opaque, and text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from agent.wire import Record
from server.analysis.inventory import ApiKind
from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change
from server.analysis.specs.deviation import DeviationIdentity

Row_co = TypeVar("Row_co", covariant=True)

Cursor: TypeAlias = tuple[int, int]
"""The key of the last row of a piece of a list: the next piece holds what sorts after it."""

AgentLedger: TypeAlias = Mapping[str, Mapping[str, int]]
"""By part (bytes, exchanges, kernel) and bucket."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row_co]):
    """A piece of a list, and where the next begins; None where this is the last."""

    rows: Sequence[Row_co] = ()
    next: Cursor | None = None


@dataclass(frozen=True, slots=True)
class ConsumerCount:
    """How often one consumer called."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class OperationConsumer:
    """A consumer of an operation; times are to the hour, or the day where that is all that was kept."""

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
class ApiRow:
    """`exchanges` and `operations` count what was called; `merged` are ids of APIs that became this one."""

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
    exchanges: int
    operations: int
    verdicts: Mapping[str, int]
    first_seen: int | None
    last_seen: int | None
    hosts: Sequence[str]
    specs: Sequence[SpecTitle]
    merged: Sequence[str]


class OperationKind(StrEnum):
    """What an operation's key was made from; the last two are buckets for what has no key."""

    PROVISIONAL = "provisional"  # a path of traffic
    SPECIFIED = "specified"
    OVERFLOW = "overflow"  # of more templates than are kept
    UNSEEN = "unseen"  # of calls whose request was not seen


@dataclass(frozen=True, slots=True)
class OperationRow:
    """`key` is such as "GET /users/{id}"; `statuses` has None for calls without an answer; `latency` is a
    histogram (analysis/latency.py); `consumers` are the busiest.
    """

    number: int
    key: str
    kind: OperationKind
    method: str
    template: str
    operation_id: str | None
    deprecated: bool
    count: int
    first_seen: int | None
    last_seen: int | None
    statuses: Mapping[int | None, int]
    latency: Mapping[int, int]
    verdicts: Mapping[str, int]
    consumers: Sequence[OperationConsumer]


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """`operation` is None for a bucket that is none; `deviations` have their messages; `views` begins with
    the one that came first.
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
    deprecated: bool
    duration: int | None
    deviations: Mapping[DeviationIdentity, str]
    views: Sequence[Record]


class DeviationState(StrEnum):
    """Without a decision a deviation is open."""

    OPEN = "open"
    ACCEPTED = "accepted"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class DeviationRow:
    """`sample` is the id of an exchange that shows it, None once that is gone."""

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
    """Which one a number stands for, whether or not it is listed; its sample may be gone."""

    api: int
    identity: DeviationIdentity
    sample: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An accepted deviation: the change of a specification (its id) under which it conforms."""

    identity: DeviationIdentity
    spec: str
    patch: Sequence[Change]
    reason: str | None
    by: str | None
    time: int


@dataclass(frozen=True, slots=True)
class SpecRow:
    """`api` is an id. `host` limits it to calls that name this host, `base_path` replaces that of its server
    URLs; `warnings` say what of it is not used in judging.
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
    """A specification with its document as it was uploaded."""

    row: SpecRow
    raw: bytes

    @property
    def is_json(self) -> bool:
        return self.raw.lstrip()[:1] == b"{"


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One start of an agent; `records` counts what it delivered."""

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


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Totals over all agents and starts, the agent and ledger of each start, and where the server put what it
    received.
    """

    agents: AgentLedger
    starts: Sequence[tuple[str, AgentLedger]]
    server: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """APIs that were called, and exchanges counted for them."""

    apis: int
    exchanges: int


@dataclass(frozen=True, slots=True)
class PartCount:
    """How often a part of an operation was exercised; by everyone where `consumer` is None."""

    operation: str
    consumer: str | None
    part: str
    count: int


@dataclass(frozen=True, slots=True)
class UndescribedCount:
    """Calls of an operation that no specification describes; `status` is None where there was no answer."""

    method: str
    template: str
    status: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Learnable:
    """An exchange that is to be learnt from, without its views."""

    number: int
    api: int
    operation: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of an API's rebuilt document, and what changed since the one before."""

    version: str
    time: int
    document: JsonObject
    changes: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a rebuilt document, and what changed since the one before."""

    number: int
    version: str
    time: int
    changes: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class RebuiltDecision:
    """What a person decided of a rebuilt document."""

    number: int
    time: int
    decision: JsonObject
