"""An API's learned document: versions, the changes between them, and decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from server.analysis.json import JsonObject
from server.analysis.rebuild.decisions import BadDecision, of_templates, read
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.modernized import with_sequences
from server.analysis.rebuild.refused import RefusedOperation, refused_operations
from server.analysis.rebuild.versions import Change, diff
from server.learning.given import GivenPaths
from server.services.errors import Conflict, InvalidInput, NotFound
from server.services.narrowing import Cursor
from server.store.reader import Reader
from server.store.rows import Listed, Publication, RebuiltDecision, VersionRow
from server.store.store import Store

MOST_DECISIONS = 1_000  # of one API
MOST_REFUSED = 1_000  # operations of one answer

MAX_NUMBER = 2**63 - 1  # of the store


class Rebuilding:
    """`publish_soon` is called with an API (its number) after a decision or request."""

    def __init__(
        self, store: Store, publish_soon: Callable[[int], None], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._publish_soon = publish_soon
        self._clock = clock

    def publication(self, api: int, version: str | None, sequences: bool = False) -> Publication:
        """The newest version, or the requested one; with `sequences` as OpenAPI 3.2, which describes their
        items. Raises NotFound.
        """
        with self._store.reading() as reader:
            found = _publication(reader, api, version)
        return replace(found, document=with_sequences(found.document)) if sequences else found

    def versions(self, api: int, limit: int, after: Cursor | None) -> Listed[VersionRow]:
        """The versions, newest first, without documents."""
        with self._store.reading() as reader:
            return reader.lessons.versions(api, limit, after)

    def changes(self, api: int, old: str, new: str) -> list[Change]:
        """The changes between two versions. Raises NotFound."""
        with self._store.reading() as reader:
            before, after = _publication(reader, api, old), _publication(reader, api, new)
        return diff(before.document, after.document)

    def refused(self, api: int) -> list[RefusedOperation]:
        """The operations that were called and never accepted, which the document leaves out: the most called
        first, MOST_REFUSED of them. They are those of what was stored last, which happens twice a minute.
        """
        with self._store.reading() as reader:
            learned = _learned(reader, api)
        return refused_operations(learned)[:MOST_REFUSED]

    def decisions(self, api: int) -> Sequence[RebuiltDecision]:
        """The decisions on the document, in their order."""
        with self._store.reading() as reader:
            return reader.lessons.decisions(api)

    def decide(self, api: int, decision: JsonObject) -> RebuiltDecision:
        """Adds a decision on the document, which further traffic does not change. Raises InvalidInput and
        Conflict.
        """
        try:
            read(decision)
        except BadDecision as error:
            raise InvalidInput(str(error)) from None
        with self._store.reading() as reader:
            if len(reader.lessons.decisions(api)) >= MOST_DECISIONS:
                raise Conflict(f"there are {MOST_DECISIONS} decisions; withdraw some first")
        now = self._clock()
        number = self._store.write(lambda unit: unit.lessons.decide(api, decision, now)).result()
        self._publish_soon(api)
        return RebuiltDecision(number, now, decision)

    def request_version(self, api: int) -> None:
        """Asks for a version of what was learned so far, soon; none if nothing but evidence changed."""
        self._publish_soon(api)

    def withdraw(self, api: int, number: int) -> None:
        """Withdraws a decision. Raises NotFound."""
        possible = 0 < number <= MAX_NUMBER
        if not possible or not self._store.write(lambda unit: unit.lessons.withdraw(api, number)).result():
            raise NotFound("no such decision")
        self._publish_soon(api)


def _learned(reader: Reader, api: int) -> Learner:
    """What was learned of an API, as it was last stored, without what cannot be read."""
    found = Learner()
    for row in reader.lessons.rows_of(api):
        with suppress(ValueError, TypeError):
            found.absorb(Learner.restore(reader.lessons.state(row)))
    GivenPaths().pass_to(found, reader, api)
    found.decide(of_templates([read(one.decision) for one in reader.lessons.decisions(api)]))
    return found


def _publication(reader: Reader, api: int, version: str | None) -> Publication:
    found = reader.lessons.publication(api, version)
    if found is None:
        raise NotFound("nothing was learned of this API yet" if version is None else "no such version")
    return found
