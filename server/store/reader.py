"""What can be read of the store, by use: each a Protocol that an engine fulfils."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from agent.wire import Record
from server.analysis.specs.deviation import DeviationIdentity
from server.store.filters import Filters
from server.store.rows import (
    AgentRow,
    ApiRow,
    Cursor,
    DeviationRow,
    ExchangeRow,
    KnownDeviation,
    Learnable,
    Ledgers,
    Listed,
    OperationRow,
    PartCount,
    Proposal,
    Publication,
    RebuiltDecision,
    SpecDocument,
    SpecRow,
    Totals,
    UndescribedCount,
    VersionRow,
)


class InventoryReader(Protocol):
    """APIs and their operations."""

    def number_of(self, id: str) -> int | None:
        """An API's number by its id, by one it had earlier, or by that of one that was merged into it."""

    def name_of(self, api: int) -> str: ...

    def api(self, api: int) -> ApiRow | None:
        """None where nothing was counted of it and nobody declared it."""

    def apis(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ApiRow]:
        """Most recently called first."""

    def operations(
        self, api: int, filters: Filters, limit: int, after: Cursor | None, deprecated: bool | None = None
    ) -> Listed[OperationRow]:
        """Those that were called, busiest first."""

    def called(self, api: int) -> Collection[str]:
        """Keys of an API's operations that were called."""

    def totals(self) -> Totals: ...

    def merged_into(self, apis: Collection[int]) -> Mapping[int, int]:
        """Of these APIs, those that turned out to be another, and which."""

    def unused_consumers(self) -> Sequence[int]:
        """Numbers of consumers that may go."""


class ExchangesReader(Protocol):
    """Whole exchanges, as long as retention keeps them."""

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ExchangeRow]:
        """Newest first; fewer than `limit` where bodies are large."""

    def one(self, id: str) -> ExchangeRow | None:
        """By the id of any of its views."""

    def samples(self, api: int, limit: int) -> Iterator[Sequence[Record]]:
        """The views of an API's newest exchanges."""

    def after(self, number: int, limit: int) -> Sequence[Learnable]:
        """Exchanges that were stored after this number, in that order."""

    def views(self, numbers: Collection[int]) -> Mapping[int, Sequence[Record]]:
        """The views of exchanges, by number."""


class DeviationsReader(Protocol):
    """Deviations, and what people decided of them."""

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[DeviationRow]:
        """Most recently seen first."""

    def number_of(self, id: str) -> int | None:
        """The number that an id, or one it had earlier, stands for; None for what can be none. The deviation
        may be gone.
        """

    def known(self, number: int) -> KnownDeviation | None: ...

    def ids(self, api: int, identities: Collection[DeviationIdentity]) -> Sequence[str | None]:
        """Of the deviations of these identities; None for one that is not stored."""

    def proposals(self, api: int, spec: str | None = None) -> Sequence[Proposal]:
        """What was accepted, oldest first; of one specification, if its id is given."""


class SpecsReader(Protocol):
    """Specifications."""

    def listed(self, limit: int, after: Cursor | None) -> Listed[SpecRow]:
        """Newest first."""

    def of_api(self, api: int) -> Sequence[SpecDocument]:
        """Newest first."""

    def one(self, id: str) -> SpecDocument | None: ...


class FleetReader(Protocol):
    """Who delivers."""

    def agents(self, limit: int, after: Cursor | None) -> Listed[AgentRow]:
        """Every start of every agent, most recently heard of first."""

    def ledgers(self) -> Ledgers: ...


class CoverageReader(Protocol):
    """What of an API's specifications was exercised."""

    def counts(self, api: int, by: str) -> Iterator[PartCount]:
        """Of everyone, and of consumers of one kind."""

    def undescribed(self, api: int) -> Iterator[UndescribedCount]: ...


class LessonsReader(Protocol):
    """What was learnt, published and decided of rebuilt documents."""

    def watermark(self) -> int:
        """The number of the last exchange that was learnt from or passed over."""

    def rows_of(self, api: int) -> Collection[int]:
        """The rows in which what was learnt of an API is stored: several where APIs turned out to be one."""

    def state(self, row: int) -> bytes:
        """What is stored in one of them. Raises ValueError where it cannot be read."""

    def publication(self, api: int, version: str | None = None) -> Publication | None:
        """A published version, the newest if none is given."""

    def newest_version(self, api: int) -> str | None: ...

    def versions(self, api: int, limit: int, after: Cursor | None) -> Listed[VersionRow]:
        """Newest first."""

    def count(self, api: int) -> int:
        """How many versions of an API were published."""

    def decisions(self, api: int) -> Sequence[RebuiltDecision]:
        """In the order of deciding."""


class Reader(Protocol):
    """One moment of the store."""

    @property
    def inventory(self) -> InventoryReader: ...
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
