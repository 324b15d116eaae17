"""Builds the next catalogue on the writer's thread, and publishes it after the commit.

| event                                              | draft                           | published         |
|----------------------------------------------------|---------------------------------|-------------------|
| a specification changes, a decision is made/undone | as the transaction sees it      | unchanged         |
| work or a whole transaction is undone              | read again before anything else | unchanged         |
| a transaction is committed                         | unchanged                       | becomes the draft |

So the published catalogue is never ahead of the database, and contains every write that was reported as
committed.
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
    """Runs on the writer's thread; `published` may be read by any thread.

    Each document is read from the database and parsed once, however often the catalogue is built.
    """

    def __init__(self, unit: Unit, load: Load) -> None:
        self._unit = unit
        self._load = load
        self.draft = self.published = EMPTY
        self.reread()
        self.publish()

    def publish(self) -> None:
        """Publishes the draft. Call it after a commit."""
        self.published = self.draft

    def reread(self) -> None:
        """Reads the draft again from the database. Call it after specifications or decisions changed, or
        after work was undone.
        """
        self._build({})

    def add(self, stored: StoredSpec, specification: LoadedSpecification) -> None:
        """Adds a specification that was already parsed and is now stored."""
        self._build({stored.id: Loaded.of(stored, specification)})

    def reread_ignored(self) -> None:
        """Reads the ignored deviations of the draft again. Call it after a decision."""
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
