"""Tries a proposed document on the stored exchanges of an API. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from server.analysis.specs.document.servers import hosts
from server.analysis.tryout.documents import TriedChange, TryoutCut, TryoutReport
from server.analysis.tryout.tryout import Difference, TriedExchange, Tryout, TryoutConsumer
from server.analysis.tryout.usage import breaking_changes
from server.analysis.views import in_order, most_seen
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import InvalidInput, NoTarget, NotFound
from server.services.narrowing import number_of, rows_of
from server.services.sent import Sent
from server.specification import Load, LoadedSpecification
from server.store.filters import Filters
from server.store.keys import id_of
from server.store.reader import Reader
from server.store.rows import ExchangeRow
from server.store.store import Store

PAGE = 200


@dataclass(frozen=True, slots=True)
class TryoutTarget:
    """The API, by id or one of its hosts; by default the one at a host of the document. `base_path` replaces
    that of the document's server URLs; only the `limit` newest exchanges at or after `since` (ns) are
    replayed.
    """

    api: str | None = None
    host: str | None = None
    base_path: str | None = None
    since: int | None = None
    limit: int = 10_000


class Tryouts:
    def __init__(self, store: Store, catalogue: CatalogueEditor, load: Load) -> None:
        self._store = store
        self._catalogue = catalogue
        self._load = load

    def of(self, sent: Sent, target: TryoutTarget, is_over: Callable[[], bool]) -> TryoutReport:
        """The effects of a document on an API's calls, of those replayed before it `is_over`. Raises
        SpecError, InvalidInput and NotFound.
        """
        proposed = sent.understood(self._load, target.base_path)
        tryout = Tryout(proposed)
        with self._store.reading() as reader:
            api = _api(reader, proposed, target)
            stored = Filters(api=api, since=target.since)
            newest = rows_of(lambda after: reader.exchanges.listed(stored, PAGE, after))
            cut = _replay(newest, tryout, target.limit, is_over)
            operations = rows_of(lambda after: reader.inventory.operations(Filters(api=api), PAGE, after))
            counted = {row.key: row.count for row in operations}
        present = self._present(api, proposed)
        changes = [] if present is None else _changes(present, proposed, tryout.broken)
        return _report(id_of(api), proposed, tryout, cut, counted, changes)

    def _present(self, api: int, proposed: LoadedSpecification) -> LoadedSpecification | None:
        """The specification that the proposal would replace: of several the one with its base paths."""
        known = [one.specification for one in self._catalogue.published.of_api(api)]
        same = [one for one in known if set(one.base_paths) == set(proposed.base_paths)]
        return next(iter(same or known), None)


def _api(reader: Reader, proposed: LoadedSpecification, target: TryoutTarget) -> int:
    """The number of the target's API. Raises InvalidInput and NotFound."""
    if target.api is not None:
        return number_of(reader, target.api)
    wanted = [target.host.lower()] if target.host else hosts(proposed.document)
    if not wanted:
        raise NoTarget("the document's servers name no host: give host or api")
    found = sorted({number for host in wanted for number in reader.inventory.at_host(host)})
    if not found:
        raise NotFound(f"no API is known at {', '.join(wanted)}: give host or api")
    if len(found) > 1:
        raise InvalidInput(f"several APIs are at {', '.join(wanted)}: give api, the id of one")
    return found[0]


def _replay(
    newest: Iterable[ExchangeRow], tryout: Tryout, limit: int, is_over: Callable[[], bool]
) -> TryoutCut | None:
    """Replays stored exchanges; returns what ended that before the last one, if anything did."""
    for number, row in enumerate(newest):
        if number >= limit:
            return "limit"
        if is_over():
            return "time"
        tryout.add(_exchange(row))
    return None


def _exchange(row: ExchangeRow) -> TriedExchange:
    record = most_seen(in_order(row.views))
    consumer = TryoutConsumer(row.consumer_kind, row.consumer_name)
    return TriedExchange(row.views[0].id, row.operation or "", consumer, row.deviations.keys(), record)


def _changes(
    present: LoadedSpecification, proposed: LoadedSpecification, broken: Collection[Difference]
) -> list[TriedChange]:
    old, new = present.base_paths, proposed.base_paths
    bases = (old[0], new[0]) if old and new and set(old).isdisjoint(new) else ("", "")
    return breaking_changes(present.document, proposed.document, broken, bases)


def _report(
    api: str,
    proposed: LoadedSpecification,
    tryout: Tryout,
    cut: TryoutCut | None,
    counted: Mapping[str, int],
    changes: list[TriedChange],
) -> TryoutReport:
    operations = tryout.operations(counted)
    known = [one for one in operations if one["estimated"] is not None]
    calls = sum(one["counted"] for one in known)
    return {
        "api": api,
        "title": proposed.title,
        "version": proposed.version,
        "counted": sum(one["counted"] for one in operations),
        "replayed": tryout.replayed,
        "cut": cut,
        "broken": tryout.breaking,
        "share": sum(one["estimated"] or 0 for one in known) / calls if calls else None,
        "extrapolated": any(one["extrapolated"] for one in operations),
        "operations": operations,
        "consumers": tryout.consumers(),
        "differences": tryout.differences(),
        "unlisted": tryout.unlisted,
        "changes": changes,
    }
