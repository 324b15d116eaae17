"""Writing the spool's file: records, epochs, the batch being sent and the receipt, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.ship import spool_tables as tables
from agent.ship.epochs import Epoch, Epochs
from agent.ship.receipt import Receipt, ReceiptFile
from agent.ship.spool_file import (
    DAMAGED,
    SpoolBroken,
    SpoolError,
    copy_journal,
    journal_damaged,
    move_aside,
    open_file,
    prepare,
    remove_file,
    transaction,
    translated,
)
from agent.ship.spool_tables import Execute, Sent

FREE_PAGES = 1024  # given back to the file system when the spool is empty


@dataclass(slots=True)
class Writing:
    """The current transaction: `epochs` and `sent` (the batch being sent) are written with it."""

    execute: Execute
    sent: Sent | None
    epochs: dict[str, Epoch] = field(default_factory=dict)


class Disk:
    """The file at `path`, for `server` (None for any). Creating it, reading and writing raise SpoolError, or
    SpoolBroken if the content is lost.

    `lost_to` is the receipt, if the file has lost transactions before it. `uncounted` is set if there is no
    receipt and the journal is damaged. In both cases `journal_copy` is a copy of the journal.
    """

    def __init__(self, path: Path, server: str | None) -> None:
        self._path, self._server = path, server
        self._bound = server is None  # whether the file records its server
        self._receipt = ReceiptFile(path)
        self.journal_copy: Path | None = None
        self.uncounted = False
        self._db = open_file(path)
        try:
            self.lost_to = self._find_loss()
            prepare(self._db)
            with translated():
                self.sent = tables.sent(self._db.execute)
        except SpoolError:
            self.close()
            raise

    @property
    def execute(self) -> Execute:
        """Executes a reading statement, within `translated`."""
        return self._db.execute

    @property
    def size(self) -> int:
        """Bytes in use in the file."""
        with translated():
            return tables.used_bytes(self._db.execute)

    @contextmanager
    def transaction(self, epochs: Epochs, settled: int) -> Iterator[Writing]:
        """One transaction, which also writes changed `epochs` and deletes records before the place `settled`;
        then its receipt.
        """
        with transaction(self._db) as execute:
            tables.drop_before(execute, settled)
            if not self._bound:
                tables.set_destination(execute, self._server)
            writing = Writing(execute, self.sent)
            yield writing
            self._write(writing, epochs)
        self._bound, self.sent = True, writing.sent
        self._revision += 1
        epochs.mark_written(writing.epochs)
        out = self.sent if self.sent is not None and self.sent[2] > settled else None
        self._receipt.write(Receipt(self._revision, epochs.as_map(), settled, out))

    def start_over(self, epochs: Epochs) -> None:
        """Replaces the file by an empty one and marks all epochs to be written again."""
        self.close()
        remove_file(self._path)
        self._db = open_file(self._path)
        prepare(self._db)
        epochs.changed.update(epochs.as_map())
        self._bound, self.sent = self._server is None, None

    def release_free_pages(self) -> None:
        """Returns free pages to the file system, if there are many."""
        with suppress(sqlite3.Error):
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if free > FREE_PAGES:
                self._db.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()
        self._receipt.close()

    def abandon_file(self) -> None:
        """Moves the file aside; nothing more is read from it."""
        self.close()
        with suppress(SpoolError):
            move_aside(self._path)

    def _find_loss(self) -> Receipt | None:
        """Compares file and receipt before anything is written, since writing restarts the journal."""
        receipt = self._receipt.read()
        self.has_receipt = receipt is not None
        with translated():
            self._revision = tables.revision(self._db.execute)
        if receipt is None and journal_damaged(self._db, self._path):
            self.uncounted, self.journal_copy = True, copy_journal(self._path)
        if receipt is None or receipt.revision <= self._revision:
            return None
        self.journal_copy = copy_journal(self._path)
        if self.journal_copy is not None and not self._revision:
            raise SpoolBroken(DAMAGED)
        self._revision = receipt.revision
        return receipt

    def _write(self, writing: Writing, epochs: Epochs) -> None:
        if writing.sent is not self.sent:
            tables.write_sent(writing.execute, writing.sent)
        for name in epochs.changed | writing.epochs.keys():
            tables.write_epoch(writing.execute, name, writing.epochs.get(name) or epochs[name])
        for name in epochs.gone:
            tables.drop_epoch(writing.execute, name)
        tables.set_revision(writing.execute, self._revision + 1)
