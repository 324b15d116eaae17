"""Specifications, stored and returned unchanged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.ingest.accept import Acceptor
from server.services.attaching import Attached, AttachTarget, attach, detach
from server.services.errors import NotFound
from server.services.narrowing import Cursor, number_of
from server.services.sent import Sent
from server.specification import Load, LoadedSpecification
from server.store.rows import Listed, SpecDocument, SpecRow
from server.store.store import Store
from server.store.values import MAX_TITLE, Upload

log = logging.getLogger(__name__)

LOGGED_WARNINGS = 20  # per specification; the response has all


@dataclass(frozen=True, slots=True)
class Added:
    """A stored specification: its id, its API's id, and its content."""

    id: str
    api: str
    title: str
    version: str
    operations: int
    warnings: tuple[str, ...]


class Specifications:
    """`judge_again` is called with an API (its number) whose specifications have changed."""

    def __init__(
        self,
        store: Store,
        acceptor: Acceptor,
        load: Load,
        judge_again: Callable[[int], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._acceptor = acceptor
        self._load = load
        self._judge_again = judge_again
        self._clock = clock

    def add(self, sent: Sent, target: AttachTarget, base_path: str | None = None) -> Added:
        """Stores a document with the API it describes, whose stored exchanges are re-validated soon after.

        Raises SpecError, UnknownApi and NoTarget.
        """
        specification = sent.understood(self._load, base_path)
        upload = Upload(sent.raw, target.host.lower() if target.host else None, base_path)
        now = self._clock()
        attached = self._store.write(
            lambda unit: attach(unit, self._acceptor, upload, specification, target, now)
        ).result()
        if attached.is_new:
            self._announce(specification, attached)
        return Added(
            attached.spec,
            attached.api,
            specification.title,
            specification.version,
            len(specification.operations),
            tuple(specification.warnings),
        )

    def _announce(self, specification: LoadedSpecification, attached: Attached) -> None:
        self._judge_again(attached.number)
        title, count = specification.title[:MAX_TITLE], len(specification.operations)
        log.info("specification %r (%d operations) for API %s", title, count, attached.api)
        for warning in specification.warnings[:LOGGED_WARNINGS]:
            log.warning("specification %s: %r", attached.spec, warning)

    def remove(self, id: str) -> None:
        """Removes a specification. Counts and exchanges stay; stored exchanges are re-validated soon after.

        Raises NotFound.
        """
        api = self._store.write(lambda unit: detach(unit, self._acceptor, id)).result()
        if api is None:
            raise NotFound("no such specification")
        self._judge_again(api)
        log.info("specification %s was removed", id)

    def listed(self, limit: int, after: Cursor | None, cluster: str | None = None) -> Listed[SpecRow]:
        """All specifications without their documents, or those of a cluster's APIs; newest first."""
        with self._store.reading() as reader:
            return reader.specs.listed(limit, after, cluster)

    def of_api(self, api: str, id: str | None) -> SpecDocument:
        """A specification of the API with id `api`, with its document: the newest, or the one with this id.

        Raises NotFound.
        """
        with self._store.reading() as reader:
            specs = reader.specs.of_api(number_of(reader, api))
        found = [one for one in specs if id in (None, one.row.id)]
        if not found:
            raise NotFound("this API has no such specification")
        return found[0]
