"""A snapshot of the database: implements store/reader.py."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from server.store.parts import StoredPart
from server.store.sqlite.reading.consumers import SqliteConsumersReader
from server.store.sqlite.reading.coverage import SqliteCoverage
from server.store.sqlite.reading.deviations import SqliteDeviations
from server.store.sqlite.reading.estate import SqliteEstate
from server.store.sqlite.reading.exchanges import SqliteExchanges
from server.store.sqlite.reading.fleet import SqliteFleet
from server.store.sqlite.reading.inventory import SqliteInventory
from server.store.sqlite.reading.lessons import SqliteLessonsReader
from server.store.sqlite.reading.readable import Readable
from server.store.sqlite.reading.specs import SqliteSpecsReader
from server.store.sqlite.reading.tokens import SqliteTokensReader


class SqliteReader:
    """`unreadable` is called with the part of each row that cannot be read."""

    def __init__(self, db: sqlite3.Connection, unreadable: Callable[[StoredPart], None]) -> None:
        readable = Readable(unreadable)
        self.inventory = SqliteInventory(db, readable)
        self.estate = SqliteEstate(db)
        self.consumers = SqliteConsumersReader(db, readable)
        self.exchanges = SqliteExchanges(db, readable)
        self.deviations = SqliteDeviations(db, readable)
        self.specs = SqliteSpecsReader(db, readable)
        self.fleet = SqliteFleet(db, readable)
        self.coverage = SqliteCoverage(db)
        self.lessons = SqliteLessonsReader(db, readable)
        self.tokens = SqliteTokensReader(db, readable)
