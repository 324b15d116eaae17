"""The one thread that writes, in batched transactions.

| event                                  | of this work            | of the others in the transaction      |
|----------------------------------------|-------------------------|---------------------------------------|
| work returns                           | waits for the commit    | go on                                 |
| work raises                            | undone alone, fails     | go on; caches are read anew first     |
| work raises, and SQLite gave all up    | fails                   | all fail; caches are read anew later  |
| the commit succeeds                    | published, then done    | published, then done                  |
| the commit fails (disk full, locked)   | fails                   | all fail; caches are read anew later  |
| caches cannot be read anew             | fails                   | all fail; tried again before the next |

A future is done only once its transaction is committed. Work is accepted, or refused, under the lock that
closing takes too: so what was accepted is always before the end.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from server.store.errors import Damaged, StoreUnavailable
from server.store.sqlite.condition import Condition
from server.store.sqlite.writing import SqliteUnit

T = TypeVar("T")

MAX_GROUP = 64  # pieces of work in one transaction
MAX_WAITING = 256  # pieces of work that wait; more are refused, so that memory stays bounded


class Waiting(Protocol):
    """A piece of work, whatever it returns."""

    def begin(self) -> bool: ...
    def run(self, unit: SqliteUnit) -> None: ...
    def done(self) -> None: ...
    def failed(self, error: Exception) -> None: ...


class Task(Generic[T]):
    """A piece of work, and the future of what comes of it."""

    def __init__(self, work: Callable[[SqliteUnit], T]) -> None:
        self.future: Future[T] = Future()
        self._work = work
        self._result: list[T] = []

    def begin(self) -> bool:
        """Whether anybody still waits for it."""
        return self.future.set_running_or_notify_cancel()

    def run(self, unit: SqliteUnit) -> None:
        self._result = [self._work(unit)]

    def done(self) -> None:
        """What it returned is committed."""
        self.future.set_result(self._result[0])

    def failed(self, error: Exception) -> None:
        self.future.set_exception(error)


class Writer:
    """`forget` is called whenever work was undone, before anything else is written; `publish` after each
    commit, before anybody learns of it: both on the writer's thread. `publish` must not raise.

    The lock of `_change` guards `_tasks` and `_closed`; nothing is called under it.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        unit: SqliteUnit,
        condition: Condition,
        forget: Callable[[], None],
        publish: Callable[[], None],
    ) -> None:
        self._db = db
        self._unit = unit
        self._condition = condition
        self._forget = forget
        self._publish = publish
        self._tasks: deque[Waiting] = deque()
        self._closed = False
        self._change = threading.Condition(threading.Lock())
        self._undone = False
        self._began: float | None = None  # the piece of work in hand, by time.monotonic()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pieces of work that wait."""
        return len(self._tasks)

    @property
    def busy_s(self) -> float:
        """For how many seconds the piece of work in hand has run; 0 where there is none. Takes no lock."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def write(self, work: Callable[[SqliteUnit], T]) -> Future[T]:
        """Runs `work` in a transaction; the future is done after commit. Raises StoreUnavailable."""
        task = Task(work)
        with self._change:
            if self._closed:
                raise StoreUnavailable("the server is shutting down")
            if len(self._tasks) >= MAX_WAITING:
                raise StoreUnavailable("too much is waiting to be written")
            self._tasks.append(task)
            self._change.notify()
        return task.future

    def close(self, seconds: float | None = None) -> bool:
        """Refuses later work and commits all that was accepted; whether that was done in so many seconds."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while group := self._next_group():
            self._began = time.monotonic()
            self._commit([task for task in group if task.begin()])
            self._began = None

    def _next_group(self) -> list[Waiting]:
        """The work of one transaction, waiting for it; none where all is done and no more comes."""
        with self._change:
            while not (self._tasks or self._closed):
                self._change.wait()
            return [self._tasks.popleft() for _ in range(min(MAX_GROUP, len(self._tasks)))]

    def _commit(self, left: list[Waiting]) -> None:
        """One transaction. Whatever goes wrong, every future is done and the thread lives on."""
        done: list[Waiting] = []
        wanted = len(left)
        try:
            self._forget_if_undone()
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            while left:
                self._began = time.monotonic()
                if self._one(left[0]):
                    done.append(left[0])
                left.pop(0)
            self._db.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            self._fail([*done, *left], error)
            return
        self._publish()
        if len(done) == wanted and self._db.total_changes > before:
            self._condition.stored()
        for task in done:
            task.done()

    def _one(self, task: Waiting) -> bool:
        """One piece of work in a savepoint of its own. Raises where the whole transaction is lost."""
        execute = self._db.execute
        execute("SAVEPOINT work")
        try:
            task.run(self._unit)
        except Exception as error:
            self._undone = True
            if not self._db.in_transaction:  # SQLite itself gave all of it up
                raise
            execute("ROLLBACK TO work")
            execute("RELEASE work")
            self._forget_if_undone()
            if isinstance(error, sqlite3.OperationalError):
                self._condition.refused(error)
            task.failed(self._condition.translated(error))
            return False
        execute("RELEASE work")
        return True

    def _fail(self, tasks: list[Waiting], error: Exception) -> None:
        failure = self._condition.translated(error)
        if not isinstance(failure, Damaged):
            self._condition.refused(failure)
        for task in tasks:
            task.failed(failure)

    def _roll_back(self) -> None:
        self._undone = True
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _forget_if_undone(self) -> None:
        """What failed to be read anew is read anew before anything else is written."""
        if self._undone:
            self._forget()
            self._undone = False
