"""Coverage of an API's specifications by live traffic, or of another document by stored exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.analysis.coverage.confidence import confidence
from server.analysis.coverage.counts import UNKNOWN_PARTS, By, Counts
from server.analysis.coverage.documents import CoverageReport, GapReport, OperationCoverage
from server.analysis.coverage.gaps import gaps
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.report import calls, matching, operation_report, report
from server.analysis.specs.judging.judged import Judged
from server.analysis.views import most_seen
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import NotFound
from server.services.narrowing import rows_of
from server.specification import Load, LoadedSpecification, based
from server.store.filters import DeviationsShown, Filters
from server.store.reader import Reader
from server.store.rows import DeviationRow
from server.store.store import Store

MAX_SAMPLES = 10_000  # stored exchanges matched with another document
PAGE = 500  # deviations


@dataclass(frozen=True, slots=True)
class Scope:
    """What consumers are distinguished by, and which operations are reported. `spec` is the id of a stored
    specification: then only it, with the newest stored exchanges.
    """

    by: By = By.USER_AGENT
    level: str | None = None
    tag: str | None = None
    spec: str | None = None


Counted = tuple[Outline, Counts]


class CoverageReports:
    def __init__(self, store: Store, catalogue: CatalogueEditor, load: Load) -> None:
        self._store = store
        self._catalogue = catalogue
        self._load = load

    def of_api(self, api: int, scope: Scope, consumer: str | None) -> CoverageReport:
        """The parts of an API's specifications that were exercised, conforming or not, and by whom. Raises
        NotFound.
        """
        return self._report(self._counted(api, scope), scope, consumer)

    def gaps(self, api: int, scope: Scope, used_by: str, not_by: str) -> GapReport:
        """Parts that consumers of one name use and those of another do not, most called first. Raises
        NotFound.
        """
        counted = self._counted(api, scope)
        return gaps(self._report(counted, scope, used_by), self._report(counted, scope, not_by))

    def of_document(self, api: int, scope: Scope, consumer: str | None, raw: bytes) -> CoverageReport:
        """Coverage of a document, which is not stored, by the newest stored exchanges. Raises SpecError."""
        counted = self._sampled(api, scope.by, based(self._load, raw, None))
        return self._report(counted, scope, consumer)

    def of_operation(self, api: int, key: str) -> OperationCoverage | None:
        """The parameters and fields of one operation, and how many exchanges exercised each. None if no
        specification describes it.
        """
        outline, counts = self._catalogue.published.outline(api), Counts()
        if key not in outline.offers:
            return None
        with self._store.reading() as reader:
            for one in reader.coverage.counts(api, By.USER_AGENT, key):
                counts.add(one.operation, one.consumer, [one.part], one.count)
        return operation_report(outline, outline.offers[key], counts)

    def _report(self, counted: Counted, scope: Scope, consumer: str | None) -> CoverageReport:
        with self._store.reading() as reader:
            missed = confidence(reader.fleet.ledgers().agents)
        return report(*counted, level=scope.level, tag=scope.tag, caller=matching(consumer), missed=missed)

    def _counted(self, api: int, scope: Scope) -> Counted:
        if scope.spec is not None:
            return self._sampled(api, scope.by, self._stored(api, scope.spec))
        outline, counts = self._catalogue.published.outline(api), Counts()
        with self._store.reading() as reader:
            for one in reader.coverage.counts(api, scope.by):
                counts.add(one.operation, one.consumer, [one.part], one.count)
            for call in reader.coverage.undescribed(api):
                counts.add_unknown(call.method, call.template, call.status, call.count)
            for row in _unknown_parts(reader, api):
                operation, _, where, place = row.identity
                counts.add_unknown_part(operation, where, place, row.count)
        counts.exchanges = _exchanges(counts)
        return outline, counts

    def _stored(self, api: int, spec: str) -> LoadedSpecification:
        with self._store.reading() as reader:
            found = [one for one in reader.specs.of_api(api) if one.row.id == spec]
        if not found:
            raise NotFound("this API has no such specification")
        return based(self._load, found[0].raw, found[0].row.base_path)

    def _sampled(self, api: int, by: By, specification: LoadedSpecification) -> Counted:
        outline, counts = Outline([specification]), Counts()
        with self._store.reading() as reader:
            for views in reader.exchanges.samples(api, MAX_SAMPLES):
                record = most_seen(views)
                if record.request is not None:
                    counts.add_exchange(Judged.by(specification, record), outline, by, views)
        return outline, counts


def _exchanges(counts: Counts) -> int:
    return sum(map(calls, counts.everyone.values())) + sum(one.total() for one in counts.unknown.values())


def _unknown_parts(reader: Reader, api: int) -> Iterator[DeviationRow]:
    """The deviations that are parameters and fields without a description, ignored ones, too."""
    filters = Filters(api=api, state=DeviationsShown.ALL)
    deviations = rows_of(lambda after: reader.deviations.listed(filters, PAGE, after))
    return (one for one in deviations if one.identity.kind in UNKNOWN_PARTS)
