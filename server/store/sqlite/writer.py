"""The only thread that writes, in batched transactions.

| event                                | this work            | other work in the transaction          |
|--------------------------------------|----------------------|----------------------------------------|
| work returns                         | waits for the commit | continues                              |
| work raises                          | undone alone, fails  | continues after caches were read again |
| work raises, SQLite rolled back all  | fails                | all fails; caches are read again later |
| the commit succeeds                  | published, then done | published, then done                   |
| the commit fails (disk full, locked) | fails                | all fails; caches are read again later |
| caches cannot be read again          | fails                | all fails; retried before the next     |

A future is done only once its transaction is committed. Work is accepted or refused under the lock that
closing takes too, so all accepted work is committed before the end.
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

MAX_GROUP = 64  # maximum pieces of work in one transaction
MAX_WAITING = 256  # maximum pieces of work in the queue; more are refused, so that memory stays bounded


class Waiting(Protocol):
    """A queued piece of work with a result of any type."""

    def begin(self) -> bool: ...
    def run(self, unit: SqliteUnit) -> None: ...
    def done(self) -> None: ...
    def failed(self, error: Exception) -> None: ...


class Task(Generic[T]):
    """A piece of work and the future of its result."""

    def __init__(self, work: Callable[[SqliteUnit], T]) -> None:
        self.future: Future[T] = Future()
        self._work = work
        self._result: list[T] = []

    def begin(self) -> bool:
        """Marks the future as running. Returns False if it was cancelled."""
        return self.future.set_running_or_notify_cancel()

    def run(self, unit: SqliteUnit) -> None:
        self._result = [self._work(unit)]

    def done(self) -> None:
        """Completes the future after the commit."""
        self.future.set_result(self._result[0])

    def failed(self, error: Exception) -> None:
        self.future.set_exception(error)


class Writer:
    """`forget` is called whenever work was undone, before anything else is written; `publish` after each
    commit, before any future is done. Both run on the writer's thread; `publish` must not raise.

    The lock of `_change` guards `_tasks` and `_closed`; no other code is called while it is held.
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
        self._began: float | None = None  # when the current piece of work began (time.monotonic())
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of pieces of work in the queue."""
        return len(self._tasks)

    @property
    def busy_s(self) -> float:
        """Seconds since the current piece of work began; 0 if there is none. Takes no lock."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def write(self, work: Callable[[SqliteUnit], T]) -> Future[T]:
        """Runs `work` in a transaction; the future is done after the commit. Raises StoreUnavailable."""
        task = Task(work)
        with self._change:
            if self._closed:
                raise StoreUnavailable("the server is shutting down")
            if len(self._tasks) >= MAX_WAITING:
                raise StoreUnavailable("the write queue is full")
            self._tasks.append(task)
            self._change.notify()
        return task.future

    def close(self, seconds: float | None = None) -> bool:
        """Refuses further work and commits all accepted work. Returns whether that was done within
        `seconds`.
        """
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
        """Waits for the work of the next transaction; empty once all is done and the writer is closed."""
        with self._change:
            while not (self._tasks or self._closed):
                self._change.wait()
            return [self._tasks.popleft() for _ in range(min(MAX_GROUP, len(self._tasks)))]

    def _commit(self, left: list[Waiting]) -> None:
        """Runs one transaction. Whatever fails, every future is done and the thread continues."""
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
        """Runs one piece of work in its own savepoint. Raises if the whole transaction is lost."""
        execute = self._db.execute
        execute("SAVEPOINT work")
        try:
            task.run(self._unit)
        except Exception as error:
            self._undone = True
            if not self._db.in_transaction:  # SQLite has rolled back the whole transaction
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
        """Reads the caches again after undone work, before anything else is written."""
        if self._undone:
            self._forget()
            self._undone = False
