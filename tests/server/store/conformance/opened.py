"""A store of any engine, with what the conformance tests do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from agent.wire import Batch, Record, pack_record
from server.analysis.inventory import ConsumerKind
from server.analysis.specs.deviation import DeviationIdentity
from server.store.draft import ExchangeDraft
from server.store.filters import Filters
from server.store.rows import ApiRow, ExchangeRow, Listed, OperationRow
from server.store.store import Store
from server.store.unit import Unit
from server.store.values import Contribution, Occurrence, StoredView
from tests.server.records import NOON, record

T = TypeVar("T")

HOUR_NS = 3_600_000_000_000
UNKNOWN_STATUS = DeviationIdentity("GET /users/{id}", "unknown-status", "status", "500")


class Undone(Exception):
    """Raised by work that must be undone."""


class OpenStore:
    """May be opened again, as after a restart."""

    def __init__(self, engine: Callable[[Path], Store], folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self.store = engine(folder)

    def again(self) -> None:
        self.store.close()
        self.store = self._engine(self._folder)

    def anew(self) -> None:
        """Another, empty store."""
        self.store.close()
        self._folder = self._folder.with_name(f"{self._folder.name}-anew")
        self.store = self._engine(self._folder)

    def another(self) -> Store:
        """A second store of the same folder."""
        return self._engine(self._folder)

    def do(self, work: Callable[[Unit], T]) -> T:
        return self.store.write(work).result(60)

    def undo(self, work: Callable[[Unit], object]) -> None:
        """Runs work and makes it fail at its end."""

        def failing(unit: Unit) -> None:
            work(unit)
            raise Undone

        assert isinstance(self.store.write(failing).exception(60), Undone)

    def apis(self, filters: Filters | None = None) -> Sequence[ApiRow]:
        with self.store.reading() as reader:
            return reader.inventory.apis(filters or Filters(), 100, None).rows

    def operations(self, api: int) -> Sequence[OperationRow]:
        with self.store.reading() as reader:
            return reader.inventory.operations(Filters(api=api), 100, None).rows

    def exchanges(self, filters: Filters | None = None) -> Sequence[ExchangeRow]:
        with self.store.reading() as reader:
            return reader.exchanges.listed(filters or Filters(), 100, None).rows


def pieces(listed: Callable[[int, tuple[int, int] | None], Listed[T]], limit: int) -> list[T]:
    """All items of a list, page by page."""
    piece = listed(limit, None)
    found = [*piece.rows]
    while piece.next is not None:
        assert len(found) < 1000, "the list has no end"
        piece = listed(limit, piece.next)
        assert piece.rows
        found += piece.rows
    return found


def batch_of(seq: int, records: Iterable[Record] = (), parsed: int = 0, epoch: str = "epoch") -> Batch:
    return Batch(2, "agent", epoch, seq, {"exchanges": {"parsed": parsed}}, tuple(records))


def take(unit: Unit, *records: Record, verdict: str | None = None, now: int = NOON) -> list[ExchangeDraft]:
    """Stores exchanges of one view each and counts them, as ingest does."""
    drafts = []
    for number, one in zip(unit.samples.numbers(len(records), now), records, strict=True):
        api, _ = unit.apis.resolve(one)
        assert one.request is not None
        operation = unit.operations.provisional(api, one.request.method, one.request.path.decode())
        consumer = unit.consumers.number(ConsumerKind.USER_AGENT, one.consumer.user_agent or "none")
        status = one.response.status if one.response else None
        draft = ExchangeDraft(number=number, records=[one], api=api)
        draft.counted = Contribution(operation, consumer, status, one.time, 3, verdict)
        drafts.append(draft)
        count(unit, draft.counted)
    unit.samples.add_views(
        StoredView(draft.number, draft.id, draft.number, pack_record(one))
        for draft, one in zip(drafts, records, strict=True)
    )
    unit.samples.write(drafts)
    return drafts


def count(unit: Unit, *calls: Contribution) -> None:
    for one in calls:
        unit.calls.add(one)
    unit.calls.flush()


def show(
    unit: Unit, api: int, consumer: int, identity: DeviationIdentity = UNKNOWN_STATUS, time: int = NOON
) -> bool:
    """Counts a deviation of an exchange that is not stored."""
    kept = unit.deviations.add(Occurrence(api, consumer, time, "sample", 0), identity, "not described")
    unit.deviations.flush()
    return kept


def someone(unit: Unit) -> tuple[int, int]:
    """The numbers of an API and a consumer."""
    api, _ = unit.apis.resolve(record(0))
    return api, unit.consumers.number(ConsumerKind.PROCESS, "curl")
