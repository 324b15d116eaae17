"""Publishes documents of changed APIs.

| newest version | next version of a changed document |
|---|---|
| none | at once, a draft: 0.1.0 |
| a draft, 0.x | after a pause, 0.(x+1); a day after the first draft 1.0.0 |
| 1.0.0 or later | a day later |
| any | at once, 1.0.0 or later, on a person's decision or request |
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict

from server.analysis.json import JsonObject, object_in
from server.analysis.rebuild.decisions import fixed, of_templates, read
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.versions import (
    FIRST,
    FIRST_DRAFT,
    Change,
    comparable,
    diff,
    is_draft,
    next_version,
    versioned,
)
from server.failures import Failures
from server.learning.loaded import LoadedApis
from server.learning.outcomes import LearningStep
from server.store.errors import StoreUnavailable
from server.store.keys import id_of
from server.store.rows import Publication
from server.store.store import Store
from server.store.values import DAY_NS

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 3600.0  # between drafts
MOST_SERVERS = 3  # URLs named in a document


class Publishing:
    """Owned by the learning thread. `pause`: seconds between an API's drafts, multiplied by their number."""

    def __init__(
        self, store: Store, loaded: LoadedApis, failures: Failures, clock: Callable[[], int], pause: float
    ) -> None:
        self.pause = pause
        self._store = store
        self._loaded = loaded
        self._failures = failures
        self._clock = clock
        self._due: dict[int, float] = {}  # when (monotonic) an API may have its next version
        self._asked: set[int] = set()

    def request(self, apis: set[int]) -> None:
        """Publishes these APIs at once, because of a person's decision or request."""
        self._asked |= apis

    def publish_due(self) -> None:
        """Publishes due documents. Raises StoreUnavailable; requests stay until they are done."""
        now = time.monotonic()
        due = {number for number in self._loaded.changed if self._due.get(number, 0.0) <= now}
        for number in sorted(self._asked | due):
            try:
                self._publish(number)
            except StoreUnavailable:
                raise
            except Exception as error:
                self._loaded.changed.discard(number)  # until it has learned again
                self._failures.record(LearningStep.PUBLISH, f"no new document of API {id_of(number)}", error)
            self._asked.discard(number)

    def _publish(self, number: int) -> None:
        is_asked = number in self._asked
        latest, versions, is_old = self._published(number)
        if latest and not is_draft(latest.version) and not is_asked:
            left = latest.time + DAY_NS - self._clock()
            if left > 0:
                self._due[number] = time.monotonic() + left / 1e9
                return
        found = self._document(number, latest)
        self._loaded.changed.discard(number)
        self._due[number] = time.monotonic() + min(LONGEST_PAUSE_S, self.pause * (versions + 1))
        is_same = latest is not None and comparable(latest.document) == comparable(found)
        is_ready = latest is not None and is_draft(latest.version) and is_asked
        if not found["paths"] or (is_same and not is_ready):
            return
        changes = diff(latest.document, found) if latest else []
        version = _next(latest, changes, is_asked or is_old)
        one = Publication(
            version, self._clock(), versioned(found, version), [asdict(change) for change in changes]
        )
        self._store.write(lambda unit: unit.lessons.publish(number, one)).result()
        paths = len(object_in(found, "paths"))
        log.info("new document of API %s: version %s, %d paths", id_of(number), version, paths)

    def _published(self, number: int) -> tuple[Publication | None, int, bool]:
        """The version published last, the number of versions, and whether the first draft is a day old."""
        with self._store.reading() as reader:
            latest = reader.lessons.publication(number)
            first = reader.lessons.publication(number, FIRST_DRAFT)
            versions = reader.lessons.count(number)
        return latest, versions, first is not None and self._clock() - first.time >= DAY_NS

    def _document(self, number: int, latest: Publication | None) -> JsonObject:
        """An API's current document."""
        with self._store.reading() as reader:
            learner = self._loaded.api(reader, number).learner
            decided = [read(one.decision) for one in reader.lessons.decisions(number)]
            name = reader.inventory.name_of(number)
            self._loaded.given.pass_to(learner, reader, number)
        learner.decide(of_templates(decided))
        servers = learner.servers.busiest(MOST_SERVERS)
        options = DocumentOptions(name, latest.version if latest else FIRST, servers)
        return fixed(document(learner, options), decided)


def _next(latest: Publication | None, changes: list[Change], is_ready: bool) -> str:
    """The next version; `is_ready`: a draft ends."""
    if latest is None or is_draft(latest.version):
        if is_ready:
            return FIRST
        return next_version(latest.version, changes) if latest else FIRST_DRAFT
    return next_version(latest.version, changes)
