"""Opens the database: for one writer, which excludes other processes, and for readers with a snapshot
each.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from server.store.errors import StoreUnavailable

FILE = "spectap.db"
LOCK = "spectap.lock"
MAX_READERS = 16  # maximum number of idle connections
BUSY_S = 5.0
WAL_BYTES = 64 * 1024 * 1024  # maximum size of the write-ahead log after a checkpoint
CACHE_KIB = 65_536
PAGE_BYTES = 8192  # of a new file: with smaller pages, records of 2 KB would waste nearly half of each


def locked(path: Path) -> int:
    """Locks the directory: another server would change the file without this server's caches.

    Raises StoreUnavailable.
    """
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreUnavailable(f"{path.parent} is used by another server") from None
    return lock


def opened(path: Path) -> sqlite3.Connection:
    """Opens the writing connection. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        # Only possible before the first table; required to return pages to the file system.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged batch is on disk
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


class Readers:
    """Read-only connections, each with its own snapshot. Any thread may take one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(MAX_READERS)

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """Raises sqlite3.Error."""
        connection = self._take()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._give_back(connection)

    def close(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.text_factory = _text
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()


def _text(raw: bytes) -> str:
    """Decodes a text; damaged bytes are replaced."""
    return raw.decode("utf-8", "replace")


def checkpoint(path: Path) -> None:
    """Moves the write-ahead log into the file and truncates both as far as readers allow. Raises
    sqlite3.Error.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def file_bytes(path: Path) -> int:
    """Size of the database and its write-ahead log in bytes."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
