"""Publishes documents of changed APIs, each at intervals; after a person's decision at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict

from server.analysis.json import JsonObject, object_in
from server.analysis.rebuild.decisions import fixed, of_templates, read
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.versions import FIRST, comparable, diff, next_version, versioned
from server.failures import Failures
from server.learning.loaded import LoadedApis
from server.learning.outcomes import LearningStep
from server.store.errors import StoreUnavailable
from server.store.keys import id_of
from server.store.rows import Publication
from server.store.store import Store

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 3600.0
MOST_SERVERS = 3  # URLs named in a document


class Publishing:
    """Owned by the learning thread. `pause`: seconds between an API's versions, multiplied by their
    number.
    """

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
        """Publishes these APIs at once, because of a person's decision."""
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
        found, latest, versions = self._document(number)
        self._loaded.changed.discard(number)
        self._due[number] = time.monotonic() + min(LONGEST_PAUSE_S, self.pause * (versions + 1))
        if not found["paths"] or (latest and comparable(latest.document) == comparable(found)):
            return
        changes = diff(latest.document, found) if latest else []
        version = next_version(latest.version, changes) if latest else FIRST
        one = Publication(
            version, self._clock(), versioned(found, version), [asdict(change) for change in changes]
        )
        self._store.write(lambda unit: unit.lessons.publish(number, one)).result()
        paths = len(object_in(found, "paths"))
        log.info("new document of API %s: version %s, %d paths", id_of(number), version, paths)

    def _document(self, number: int) -> tuple[JsonObject, Publication | None, int]:
        """An API's current document, the version published last, and the number of versions."""
        with self._store.reading() as reader:
            learner = self._loaded.api(reader, number).learner
            latest = reader.lessons.publication(number)
            versions = reader.lessons.count(number)
            decided = [read(one.decision) for one in reader.lessons.decisions(number)]
            name = reader.inventory.name_of(number)
            self._loaded.given.pass_to(learner, reader, number)
        learner.decide(of_templates(decided))
        servers = learner.servers.busiest(MOST_SERVERS)
        options = DocumentOptions(name, latest.version if latest else FIRST, servers)
        return fixed(document(learner, options), decided), latest, versions
