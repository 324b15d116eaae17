"""An API's document as traffic makes it: versions, what changed between them, and decisions on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from server.analysis.json import JsonObject
from server.analysis.rebuild.decisions import BadDecision, read
from server.analysis.rebuild.versions import Change, diff
from server.services.errors import Conflict, NotFound, Refused
from server.services.listing import Listed, Row
from server.store import rebuilt
from server.store.database import Connection, Store
from server.store.rebuilt import Publication

__all__ = ["Decided", "Publication", "Rebuilding"]

MOST_DECISIONS = 1_000  # of one API


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision of this number, made at `time` (ns)."""

    number: int
    time: int
    decision: JsonObject


class Rebuilding:
    """`publish_soon` is told of an API (its number) of which something was decided."""

    def __init__(
        self, store: Store, publish_soon: Callable[[int], None], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._publish_soon = publish_soon
        self._clock = clock

    def publication(self, api: int, version: str | None) -> Publication:
        """The newest version, or the one asked for. Raises NotFound."""
        with self._store.reading() as db:
            return _publication(db, api, version)

    def versions(self, api: int, limit: int, before: int | None) -> Listed[Row]:
        """Newest first, without their documents; those before this number."""
        with self._store.reading() as db:
            return Listed.cut(rebuilt.publications(db, api, limit + 1, before), limit)

    def changes(self, api: int, old: str, new: str) -> list[Change]:
        """What changed between two versions. Raises NotFound."""
        with self._store.reading() as db:
            before, after = _publication(db, api, old), _publication(db, api, new)
        return diff(before.document, after.document)

    def decisions(self, api: int) -> list[Decided]:
        """What people decided of its document, in the order of deciding."""
        with self._store.reading() as db:
            return [Decided(*row) for row in rebuilt.decisions(db, api)]

    def decide(self, api: int, decision: JsonObject) -> Decided:
        """Decides something of its document, whatever traffic brings. Raises Refused and Conflict."""
        try:
            read(decision)
        except BadDecision as error:
            raise Refused(str(error)) from None
        with self._store.reading() as db:
            if len(rebuilt.decisions(db, api)) >= MOST_DECISIONS:
                raise Conflict(f"there are {MOST_DECISIONS} decisions; withdraw some first")
        now = self._clock()
        number = self._store.write(lambda db: rebuilt.decide(db, api, decision, now)).result()
        self._publish_soon(api)
        return Decided(number, now, decision)

    def withdraw(self, api: int, number: int) -> None:
        """Raises NotFound."""
        if not self._store.write(lambda db: rebuilt.withdraw(db, api, number)).result():
            raise NotFound("no such decision")
        self._publish_soon(api)


def _publication(db: Connection, api: int, version: str | None) -> Publication:
    found = rebuilt.publication(db, api, version)
    if found is None:
        raise NotFound("nothing was learnt of this API yet" if version is None else "no such version")
    return found
