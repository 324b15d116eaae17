"""One SQLite file: one thread writes, in batched transactions; any thread reads its own snapshot.

Work given to `write` runs on the writer's thread; its future is done only once the transaction is
committed. Work that fails is undone alone (savepoint); a disk that is full or a file that is locked
fails what was in that transaction with StoreUnavailable, and the next one tries again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database as Database

from server.store.refusals import Refusals
from server.store.schema import NewerSchema, migrate

log = logging.getLogger(__name__)

Connection = sqlite3.Connection

T = TypeVar("T")

FILE = "spectap.db"
LOCK = "spectap.lock"
MAX_GROUP = 64  # pieces of work in one transaction
MAX_WAITING = 256  # pieces of work that wait; more are refused, so that memory stays bounded
MAX_READERS = 16  # idle connections kept
BUSY_S = 5.0
WAL_BYTES = 64 * 1024 * 1024  # the log is cut back to this after a checkpoint
CACHE_KIB = 65_536
ROOM_BYTES = 1024 * 1024  # where nothing went in, this must before more is asked for
PAGE_BYTES = 8192  # of a new file: records of 2 KB would leave nearly half of each smaller page empty

MISTAKES = (sqlite3.IntegrityError, sqlite3.ProgrammingError)  # ours, not the file's
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
CURE = "stop the server and start it once with --salvage"

Work = Callable[[Database], Any]


class StoreUnavailable(RuntimeError):
    """Nothing can be written now (disk full, file locked, too much waiting); try again later."""


class Damaged(StoreUnavailable):
    """What is stored cannot be read as it was written; `spectap server --salvage` is the way out."""


def _reason(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    return {
        "SQLITE_FULL": "the disk or the allowed file size is full",
        "SQLITE_BUSY": "the database is locked by another process",
        "SQLITE_READONLY": "the database is read-only",
    }.get(name, f"the database answered {name}")


def _is_damage(error: sqlite3.Error) -> bool:
    name: str = getattr(error, "sqlite_errorname", "")
    return name.startswith(DAMAGE)


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """The same, as rooms outside know it."""
    if _is_damage(error):
        return Damaged(f"the database is damaged ({_reason(error)}): {CURE}")
    return StoreUnavailable(_reason(error))


def opened(path: Path) -> sqlite3.Connection:
    """A connection that writes. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        # Before the first table, or never: only then can the file give pages back.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # acknowledged means on disk
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def locked(path: Path) -> int:
    """A lock on the directory: what one server knows in memory, another must not change in the file."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreUnavailable(f"{path.parent} is used by another server") from None
    return lock


class Store:
    """The database in directory `data`, created and migrated if need be.

    Raises StoreUnavailable where it cannot be opened.
    """

    def __init__(self, data: Path) -> None:
        self.path = data / FILE
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._lock = locked(data / LOCK)
            self._db = self._open()
        except OSError as error:
            raise StoreUnavailable(f"cannot use {self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            os.close(self._lock)
            raise unavailable(error) from error
        except NewerSchema as error:
            os.close(self._lock)
            raise StoreUnavailable(
                f"{self.path} was written by a newer spectap ({error}): upgrade this one"
            ) from error
        self._work: queue.Queue[tuple[Work, Future[Any]] | None] = queue.Queue(MAX_WAITING)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(MAX_READERS)
        self._closed = False
        self._forgetful: list[Callable[[], None]] = []
        self._publishers: list[Callable[[], None]] = []
        self._undone = False
        self._refusals = Refusals()
        self.damage: str | None = None  # what was found damaged since the start; set from any thread
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def _open(self) -> Database:
        connection = opened(self.path)
        try:
            db = Database(connection)
            migrate(db)
        except BaseException:
            connection.close()
            raise
        return db

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for the writer."""
        return self._work.qsize()

    def on_undo(self, forget: Callable[[], None]) -> None:
        """Registers what must be forgotten (caches) whenever work was undone; runs on the writer's thread."""
        self._forgetful.append(forget)

    def on_commit(self, publish: Callable[[], None]) -> None:
        """Registers what shows other threads what was written; runs on the writer's thread after each commit,
        before anybody learns of it. Must not raise.
        """
        self._publishers.append(publish)

    def begin(self, work: Callable[[Database], T]) -> T:
        """Runs `work`, which reads, on the caller's thread, before anything was written. Raises Damaged."""
        try:
            return work(self._db)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def write(self, work: Callable[[Database], T]) -> Future[T]:
        """Runs `work` in a transaction; the future is done after commit. Raises StoreUnavailable."""
        future: Future[T] = Future()
        if self._closed:
            raise StoreUnavailable("the server is shutting down")
        try:
            self._work.put_nowait((work, future))
        except queue.Full:
            raise StoreUnavailable("too much is waiting to be written") from None
        return future

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection in one snapshot of the database. Raises StoreUnavailable."""
        try:
            connection = self._reader()
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise self._noted(error) from error
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, MISTAKES):
                raise
            raise self._noted(error) from error
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._give_back(connection)

    def _noted(self, error: sqlite3.Error) -> StoreUnavailable:
        found = unavailable(error)
        if isinstance(found, Damaged) and self.damage is None:
            log.error("%s", found)
            self.damage = str(found)
        return found

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            self._readers.put_nowait(connection)
        except queue.Full:
            connection.close()

    @property
    def refused(self) -> str | None:
        """Why the last write was not taken; None where it was."""
        return self._refusals.reason

    @staticmethod
    def probe(db: Database) -> None:
        """The smallest real write: shows that the database takes one."""
        db.conn.execute("PRAGMA user_version = 1")

    @staticmethod
    def take_room(db: Database) -> None:
        """A write of a batch's size: what is small may still fit on a full disk. `give_room` undoes it."""
        db.conn.execute("CREATE TABLE IF NOT EXISTS room (bytes BLOB)")
        db.conn.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))

    @staticmethod
    def give_room(db: Database) -> None:
        """Once `take_room` was committed: together they would write nothing."""
        db.conn.execute("DROP TABLE IF EXISTS room")

    @property
    def file_bytes(self) -> int:
        """Size of the database and its log."""
        files = (self.path, self.path.with_name(FILE + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def checkpoint(self) -> None:
        """Moves the log into the file and cuts both to size, as far as readers allow."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_S)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreUnavailable(_reason(error)) from error

    def close(self) -> None:
        """Commits all that was accepted, then closes. Later writes raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._thread.join()
        while True:
            try:
                self._readers.get_nowait().close()
            except queue.Empty:
                break
        self._db.close()
        os.close(self._lock)

    def _run(self) -> None:
        open_ = True
        while open_:
            group = [self._work.get()]
            while len(group) < MAX_GROUP:
                try:
                    group.append(self._work.get_nowait())
                except queue.Empty:
                    break
            open_ = None not in group
            self._commit([item for item in group if item is not None])

    def _commit(self, group: list[tuple[Work, Future[Any]]]) -> None:
        """One transaction. Whatever goes wrong, every future is done and the thread lives on."""
        left = [item for item in group if item[1].set_running_or_notify_cancel()]
        done: list[tuple[Future[Any], Any]] = []
        wanted = len(left)
        try:
            self._forget_if_undone()
            before = self._db.conn.total_changes
            self._db.conn.execute("BEGIN IMMEDIATE")
            while left:
                self._one(*left[0], done)
                left.pop(0)
            self._db.conn.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            failure = self._translated(error)
            if not isinstance(failure, Damaged):
                self._refusals.refused(str(failure))
            for future in (*(future for future, _ in done), *(future for _, future in left)):
                future.set_exception(failure)
            return
        for publish in self._publishers:
            publish()
        if len(done) == wanted and self._db.conn.total_changes > before:
            self._refusals.stored()
        for future, result in done:
            future.set_result(result)

    def _one(self, work: Work, future: Future[Any], done: list[tuple[Future[Any], Any]]) -> None:
        """One piece of work in a savepoint of its own. Raises where the whole transaction is lost."""
        execute = self._db.conn.execute
        execute("SAVEPOINT work")
        try:
            done.append((future, work(self._db)))
        except Exception as error:
            self._undone = True
            if not self._db.conn.in_transaction:  # SQLite itself gave all of it up
                raise
            execute("ROLLBACK TO work")
            execute("RELEASE work")
            self._forget_if_undone()
            if isinstance(error, sqlite3.OperationalError):
                self._refusals.refused(_reason(error))
            future.set_exception(self._translated(error))
        else:
            execute("RELEASE work")

    def _roll_back(self) -> None:
        self._undone = True
        with suppress(sqlite3.Error):
            if self._db.conn.in_transaction:
                self._db.conn.execute("ROLLBACK")

    def _forget_if_undone(self) -> None:
        """What failed to be read anew is read anew before anything else is written."""
        if self._undone:
            for forget in self._forgetful:
                forget()
            self._undone = False

    def _translated(self, error: Exception) -> Exception:
        return self._noted(error) if isinstance(error, sqlite3.Error) else error
