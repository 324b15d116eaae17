"""Builds the next catalogue on the writer's thread, and publishes it once what it shows is committed.

| event                                                | draft                          | published         |
|------------------------------------------------------|--------------------------------|-------------------|
| specifications change, a decision is made or undone  | as the transaction sees it     | stays             |
| work or a whole transaction is undone                | read anew before anything else | stays             |
| a transaction is committed                           | stays                          | becomes the draft |

So the published catalogue is never ahead of the database, and whoever was told that a write is committed
finds it there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from server.analysis.specs.model import SpecError
from server.catalogue import EMPTY, Catalogue, Loaded, by_api
from server.specification import Load, LoadedSpecification, based
from server.store.unit import Unit
from server.store.values import StoredSpec

log = logging.getLogger(__name__)


class CatalogueEditor:
    """Writer's thread, but for `published`, which any thread may read.

    A document is read from the database and parsed once, however often the catalogue is built.
    """

    def __init__(self, unit: Unit, load: Load) -> None:
        self._unit = unit
        self._load = load
        self.draft = self.published = EMPTY
        self.reread()
        self.publish()

    def publish(self) -> None:
        """After a commit: readers get what was written."""
        self.published = self.draft

    def reread(self) -> None:
        """After specifications or decisions changed, or work was undone: the draft follows the database."""
        self._build({})

    def add(self, stored: StoredSpec, specification: LoadedSpecification) -> None:
        """A specification that was parsed already and is stored now."""
        self._build({stored.id: Loaded.of(stored, specification)})

    def reread_ignored(self) -> None:
        """After a decision: the ignored deviations of the draft follow the database."""
        self.draft = replace(self.draft, ignored=self._unit.decisions.ignored())

    def _build(self, fresh: Mapping[str, Loaded]) -> None:
        known = {one.stored.id: one for catalogue in (self.published, self.draft) for one in catalogue}
        unreadable = self.published.unreadable | self.draft.unreadable
        rows = self._unit.specs.stored()
        found = [*self._loaded(rows, {**known, **fresh}, unreadable)]
        readable = {one.stored.id for one in found}
        self.draft = Catalogue(
            by_api(found, self.draft),
            self._unit.apis.revisions(),
            self._unit.decisions.ignored(),
            frozenset(row.id for row in rows) - readable,
        )

    def _loaded(
        self, rows: Sequence[StoredSpec], known: Mapping[str, Loaded], unreadable: frozenset[str]
    ) -> Iterator[Loaded]:
        for row in rows:
            one = known.get(row.id)
            if one is not None:
                yield one if one.stored == row else replace(one, stored=row)
            elif row.id not in unreadable and (read := self._read(row)) is not None:
                yield read

    def _read(self, row: StoredSpec) -> Loaded | None:
        try:
            raw = self._unit.specs.document(row.number)
            return Loaded.of(row, based(self._load, raw, row.base_path))
        except SpecError as error:
            log.error("specification %s is left out: %s: %s", row.id, error.where, error.reason)
            return None
