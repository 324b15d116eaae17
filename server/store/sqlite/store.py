"""One SQLite file: one thread writes (writer.py), any thread reads its own snapshot."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from server.store.errors import CURE, Damaged, StoreUnavailable
from server.store.parts import StoredPart
from server.store.reader import Reader
from server.store.sqlite import connection
from server.store.sqlite.condition import Condition
from server.store.sqlite.connection import FILE, LOCK, Readers
from server.store.sqlite.failures import MISTAKES, unavailable
from server.store.sqlite.reading import SqliteReader
from server.store.sqlite.schema import NewerSchema, migrate
from server.store.sqlite.schema_copy import keep_schema
from server.store.sqlite.writer import Writer
from server.store.sqlite.writing import SqliteUnit

T = TypeVar("T")


class SqliteStore:
    """The database in directory `data`, created and migrated as needed.

    Raises StoreUnavailable if it cannot be opened.
    """

    def __init__(self, data: Path) -> None:
        self.path = data / FILE
        self._condition = Condition()
        self._forgetful: list[Callable[[], None]] = []
        self._publishers: list[Callable[[], None]] = []
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._lock: int | None = connection.locked(data / LOCK)
        except OSError as error:
            raise StoreUnavailable(f"cannot use {self.path}: {error.strerror}") from error
        try:
            self._db = self._open()
        except StoreUnavailable:
            os.close(self._lock)
            raise
        self._readers = Readers(self.path)
        self._writer = Writer(self._db, self._unit, self._condition, self._forget, self._publish)

    def _open(self) -> sqlite3.Connection:
        """Raises StoreUnavailable."""
        try:
            db = connection.opened(self.path)
        except sqlite3.Error as error:
            raise unavailable(error) from error
        try:
            migrate(db)
            keep_schema(db, self.path)
            self._unit = SqliteUnit(db, self._condition.unreadable)
        except NewerSchema as error:
            db.close()
            why = f"{self.path} was written by a newer spectap ({error}): upgrade this one"
            raise StoreUnavailable(why) from error
        except sqlite3.Error as error:
            db.close()
            raise unavailable(error) from error
        except (ValueError, TypeError, LookupError) as error:
            db.close()
            raise Damaged(f"stored data cannot be read ({type(error).__name__}): {CURE}") from error
        return db

    @property
    def waiting(self) -> int:
        """Number of pieces of work in the writer's queue."""
        return self._writer.waiting

    @property
    def busy_s(self) -> float:
        """Seconds since the writer began its current piece of work."""
        return self._writer.busy_s

    def on_undo(self, forget: Callable[[], None]) -> None:
        """Registers a function that discards caches. It runs on the writer's thread whenever work was
        undone.
        """
        self._forgetful.append(forget)

    def on_commit(self, publish: Callable[[], None]) -> None:
        """Registers a function that publishes committed changes. It runs on the writer's thread after each
        commit, before any future is done, and must not raise.
        """
        self._publishers.append(publish)

    def _forget(self) -> None:
        self._unit.forget()
        for forget in self._forgetful:
            forget()

    def _publish(self) -> None:
        for publish in self._publishers:
            publish()

    def begin(self, work: Callable[[SqliteUnit], T]) -> T:
        """Runs the reading `work` on the caller's thread, before anything is written. Raises Damaged."""
        try:
            return work(self._unit)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def write(self, work: Callable[[SqliteUnit], T]) -> Future[T]:
        """Runs `work` in a transaction; the future is done after the commit. Raises StoreUnavailable."""
        return self._writer.write(work)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A snapshot of the database. Raises StoreUnavailable."""
        try:
            with self._readers.one() as one:
                yield SqliteReader(one, self._condition.unreadable)
        except sqlite3.DatabaseError as error:
            if isinstance(error, MISTAKES):
                raise
            raise self._condition.failure_of(error) from error

    @property
    def refused(self) -> str | None:
        """Why the last write was refused; None if it succeeded."""
        return self._condition.refusal

    @property
    def damage(self) -> str | None:
        """The damage found since the start; None if there is none."""
        return self._condition.damage

    def unreadable(self, part: StoredPart) -> int:
        """Number of failed reads of rows since the start, by part."""
        return self._condition.unreadable_rows[part]

    @property
    def is_closed(self) -> bool:
        """Whether all accepted work is committed, and the database closed."""
        return self._lock is None

    @property
    def used_bytes(self) -> int:
        """Size of the database and its write-ahead log in bytes."""
        return connection.file_bytes(self.path)

    def compact(self) -> None:
        """Moves the write-ahead log into the file and truncates both. Raises StoreUnavailable."""
        try:
            connection.checkpoint(self.path)
        except sqlite3.Error as error:
            raise self._condition.failure_of(error) from error

    def close(self, seconds: float | None = None) -> bool:
        """Commits all accepted work, then closes. Returns False if that takes longer than `seconds`.

        Later writes raise StoreUnavailable.
        """
        if not self._writer.close(seconds):
            return False
        self._readers.close()
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return True
