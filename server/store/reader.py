"""Reading the store, as Protocols that an engine implements."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from agent.wire import Record
from server.analysis.specs.deviation import DeviationIdentity
from server.store.filters import Filters
from server.store.rows import (
    AgentRow,
    ApiOperations,
    ApiRow,
    ApiUse,
    CaptureRow,
    ConsumerOperationRow,
    ConsumerRow,
    Cursor,
    DeprecatedUse,
    DeviationCount,
    DeviationRow,
    EstateCounts,
    ExchangeRow,
    FacetField,
    Facets,
    KnownDeviation,
    Learnable,
    Ledgers,
    Listed,
    MinuteCounts,
    Newcomers,
    OperationRow,
    PartCount,
    PeriodCount,
    Proposal,
    Publication,
    RebuiltDecision,
    SpecDocument,
    SpecRow,
    Totals,
    UndescribedCount,
    VersionRow,
)
from server.store.tokens import TokensReader


class InventoryReader(Protocol):
    """APIs and their operations."""

    def number_of(self, id: str) -> int | None:
        """An API's number by its id, an earlier id, or the id of an API that was merged into it."""

    def at_host(self, host: str) -> Sequence[int]:
        """The numbers of the APIs at a host, which each has a cluster of its own."""

    def name_of(self, api: int) -> str: ...

    def api(self, api: int) -> ApiRow | None:
        """An API, even if no calls are left to it. None if there is none with this number."""

    def apis(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ApiRow]:
        """APIs that were called or declared, the most recently called first."""

    def operations(
        self, filters: Filters, limit: int, after: Cursor | None, deprecated: bool | None = None
    ) -> Listed[OperationRow]:
        """The operations that were called, busiest first; of all APIs, or of one."""

    def operation(self, api: int, id: str) -> OperationRow | None:
        """An operation of an API by its id; None if the API has none with this id."""

    def called(self, api: int) -> Collection[str]:
        """Keys of the API's operations that were called."""

    def totals(self) -> Totals: ...

    def merged_into(self, apis: Collection[int]) -> Mapping[int, int]:
        """Which of these APIs were merged, and into which."""

    def unused_consumers(self) -> Sequence[int]:
        """Numbers of consumers that nothing refers to."""


class EstateReader(Protocol):
    """All APIs together."""

    def counts(self) -> EstateCounts: ...

    def busiest(self, limit: int) -> Sequence[ApiUse]:
        """The APIs with the most calls."""

    def worst(self, limit: int) -> Sequence[ApiUse]:
        """The APIs with the most deviating calls."""

    def deprecated_uses(self, limit: int) -> Sequence[DeprecatedUse]:
        """Who calls deprecated operations, the busiest consumers first."""

    def newcomers(self, since: int, limit: int) -> Newcomers:
        """What was first seen at or after a time (ns)."""

    def operation_counts(self) -> Sequence[ApiOperations]:
        """Of each API that was called or specified."""

    def deviation_counts(self) -> Sequence[DeviationCount]: ...


class ConsumersReader(Protocol):
    """Who calls, and how often. Filters are by calls: their operation, status, consumer and hour."""

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ConsumerRow]:
        """Consumers, busiest first."""

    def one(self, id: str) -> ConsumerRow | None:
        """By its id; None if none with this id has called."""

    def operations(
        self, consumer: int, limit: int, after: Cursor | None, filters: Filters
    ) -> Listed[ConsumerOperationRow]:
        """The operations that a consumer calls, most called first."""

    def calls_by_hour(self, filters: Filters) -> Sequence[PeriodCount]:
        """Calls by hour, class of status, verdict and fault; of older ones only the day is known."""


class ExchangesReader(Protocol):
    """Stored exchanges, until retention deletes them."""

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ExchangeRow]:
        """Newest first; fewer than `limit` if bodies are large, or if so few were found in as many as are
        searched at once: `next` is where the search goes on.
        """

    def facets(self, filters: Filters, fields: Sequence[FacetField], most: int) -> Facets:
        """The values of some fields in the newest `most` exchanges."""

    def by_minute(self, since: int, most: int) -> MinuteCounts:
        """The newest `most` exchanges since a time (ns)."""

    def one(self, id: str) -> ExchangeRow | None:
        """By the id of any of its views."""

    def samples(self, api: int, limit: int) -> Iterator[Sequence[Record]]:
        """The views of an API's newest exchanges."""

    def after(self, number: int, limit: int) -> Sequence[Learnable]:
        """Exchanges stored after this number, in order."""

    def views(self, numbers: Collection[int]) -> Mapping[int, Sequence[Record]]:
        """The views of exchanges, by number."""


class DeviationsReader(Protocol):
    """Deviations and the decisions on them."""

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[DeviationRow]:
        """The most recently seen first."""

    def number_of(self, id: str) -> int | None:
        """The number of a deviation by its id or an earlier id; None if the id is invalid. The deviation
        itself may have been deleted.
        """

    def known(self, number: int) -> KnownDeviation | None: ...

    def ids(self, api: int, identities: Collection[DeviationIdentity]) -> Sequence[str | None]:
        """The ids of the deviations with these identities; None where a deviation is not stored."""

    def proposals(self, api: int, spec: str | None = None) -> Sequence[Proposal]:
        """Accepted deviations, oldest first; of one specification if its id is given."""


class SpecsReader(Protocol):
    """Specifications."""

    def listed(self, limit: int, after: Cursor | None, cluster: str | None = None) -> Listed[SpecRow]:
        """Newest first; all, or those of a cluster's APIs."""

    def of_api(self, api: int) -> Sequence[SpecDocument]:
        """Newest first."""

    def one(self, id: str) -> SpecDocument | None: ...


class FleetReader(Protocol):
    """The agents that deliver."""

    def agents(
        self, limit: int, after: Cursor | None, cluster: str | None = None, node: str | None = None
    ) -> Listed[AgentRow]:
        """Every start of every agent, or of those of a cluster or node; most recent delivery first."""

    def captures(self, since: int, cluster: str | None = None) -> Sequence[CaptureRow]:
        """The newest start of each agent that delivered at or after a time (ns); of one cluster, if given."""

    def ledgers(self, cluster: str | None = None) -> Ledgers:
        """Of all agents, or those of a cluster."""


class CoverageReader(Protocol):
    """Coverage of an API's specifications."""

    def counts(self, api: int, by: str, operation: str | None = None) -> Iterator[PartCount]:
        """Counts for everyone, and for consumers of one kind; of one operation if its key is given."""

    def undescribed(self, api: int) -> Iterator[UndescribedCount]:
        """Calls that no specification describes; all calls if the API has none."""


class LessonsReader(Protocol):
    """Learned documents: stored states, published versions and decisions."""

    def watermark(self) -> int:
        """The number of the last exchange that was learned from or skipped."""

    def rows_of(self, api: int) -> Collection[int]:
        """The rows with the learned state of an API: several if APIs were merged."""

    def state(self, row: int) -> bytes:
        """The state in one of them. Raises ValueError if it cannot be read."""

    def publication(self, api: int, version: str | None = None) -> Publication | None:
        """A published version; the newest if none is given."""

    def newest_version(self, api: int) -> str | None: ...

    def versions(self, api: int, limit: int, after: Cursor | None) -> Listed[VersionRow]:
        """Newest first."""

    def count(self, api: int) -> int:
        """Number of published versions of an API."""

    def decisions(self, api: int) -> Sequence[RebuiltDecision]:
        """In order of time."""


class Reader(Protocol):
    """A snapshot of the store."""

    @property
    def inventory(self) -> InventoryReader: ...
    @property
    def estate(self) -> EstateReader: ...
    @property
    def consumers(self) -> ConsumersReader: ...
    @property
    def exchanges(self) -> ExchangesReader: ...
    @property
    def deviations(self) -> DeviationsReader: ...
    @property
    def specs(self) -> SpecsReader: ...
    @property
    def fleet(self) -> FleetReader: ...
    @property
    def coverage(self) -> CoverageReader: ...
    @property
    def lessons(self) -> LessonsReader: ...
    @property
    def tokens(self) -> TokensReader: ...
