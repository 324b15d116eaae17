"""Implements store/unit.py. All state that the store keeps in memory is here.

| in memory                                               | is read at | again after undone work and      |
|---------------------------------------------------------|------------|----------------------------------|
| APIs: keys, kinds, hosts, declared names                | the start  | a merge                          |
| operations: numbers, keys, kinds                        | the start  | a merge, demoting, moved counts  |
| consumers: numbers                                      | the start  | removal                          |
| deviations: numbers                                     | the start  | a merge, purging                 |
| coverage: consumers of operations, numbers of parts     | the start  | a merge, resetting               |
| sums of calls, deviations and coverage, not yet flushed | (empty)    | a flush (empty again)            |
| addresses that are watched                              | the start  | expiry                           |
| pods by address                                         | the start  | expiry                           |
| the hour whose first number is stored                   | (none)     | another hour                     |

Between two pieces of work nothing here differs from the database: whoever adds sums also flushes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from server.store.errors import KeyCollision
from server.store.parts import StoredPart
from server.store.sqlite.reading.readable import Readable
from server.store.sqlite.writing.apis import SqliteApis
from server.store.sqlite.writing.calls import SqliteCallTally
from server.store.sqlite.writing.consumers import SqliteConsumers
from server.store.sqlite.writing.coverage import SqliteCoverageTally
from server.store.sqlite.writing.decisions import SqliteDecisions
from server.store.sqlite.writing.deviations import SqliteDeviationTally
from server.store.sqlite.writing.held import SqliteHeld
from server.store.sqlite.writing.lessons import SqliteLessons
from server.store.sqlite.writing.lone_views import SqliteLoneViews
from server.store.sqlite.writing.merging import merge_apis
from server.store.sqlite.writing.operations import SqliteOperations
from server.store.sqlite.writing.pods import SqlitePods
from server.store.sqlite.writing.positions import SqlitePositions
from server.store.sqlite.writing.retention import SqliteRetention
from server.store.sqlite.writing.room import SqliteRoom
from server.store.sqlite.writing.routes import SqliteRoutes
from server.store.sqlite.writing.samples import SqliteSamples
from server.store.sqlite.writing.specs import SqliteSpecs
from server.store.sqlite.writing.tokens import SqliteTokens
from server.store.sqlite.writing.watched import SqliteWatched
from server.store.values import Merge


class SqliteUnit:
    """All methods may raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection, unreadable: Callable[[StoredPart], None]) -> None:
        self._db = db
        self.apis = SqliteApis(db)
        self.operations = SqliteOperations(db)
        self.consumers = SqliteConsumers(db)
        self.calls = SqliteCallTally(db)
        self.coverage = SqliteCoverageTally(db)
        self.deviations = SqliteDeviationTally(db)
        self.samples = SqliteSamples(db, Readable(unreadable))
        self.held = SqliteHeld(db, Readable(unreadable))
        self.lone_views = SqliteLoneViews(db, Readable(unreadable))
        self.watched = SqliteWatched(db)
        self.pods = SqlitePods(db)
        self.routes = SqliteRoutes(db)
        self.retention = SqliteRetention(db)
        self.positions = SqlitePositions(db)
        self.specs = SqliteSpecs(db)
        self.decisions = SqliteDecisions(db)
        self.lessons = SqliteLessons(db)
        self.tokens = SqliteTokens(db)
        self.room = SqliteRoom(db)

    def forget(self) -> None:
        """Reads all state again from the database. Call it after work was undone."""
        self._forget_merged()
        for part in (self.consumers, self.calls, self.samples, self.lone_views, self.watched, self.pods):
            part.forget()

    def merge(self, merge: Merge) -> None:
        """Merges completely or, if it raises, not at all."""
        self._db.execute("SAVEPOINT merge")
        try:
            merge_apis(self._db, merge.source, merge.target)
        except KeyCollision:
            self._db.execute("ROLLBACK TO merge")
            raise
        finally:
            self._db.execute("RELEASE merge")
            self._forget_merged()

    def _forget_merged(self) -> None:
        for part in (self.apis, self.operations, self.deviations, self.coverage):
            part.forget()
