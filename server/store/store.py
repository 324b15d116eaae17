"""The store's interface, whatever the engine: one writer, and any number of readers with a snapshot each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from server.store.parts import StoredPart
from server.store.reader import Reader
from server.store.unit import Unit

T = TypeVar("T")


class Store(Protocol):
    """May be used from any thread."""

    def begin(self, work: Callable[[Unit], T]) -> T:
        """Runs the reading `work` on the caller's thread, before anything is written. Raises Damaged."""

    def write(self, work: Callable[[Unit], T]) -> Future[T]:
        """Runs `work` in a transaction on the writer's thread; the future is done after the commit. If it
        fails, only this work is undone. Raises StoreUnavailable, as may the future.
        """

    def reading(self) -> AbstractContextManager[Reader]:
        """A snapshot of the store. Raises StoreUnavailable."""

    def on_undo(self, forget: Callable[[], None]) -> None:
        """Registers a function that discards caches. It runs on the writer's thread whenever work was
        undone.
        """

    def on_commit(self, publish: Callable[[], None]) -> None:
        """Registers a function that publishes committed changes. It runs on the writer's thread after each
        commit, before any future is done, and must not raise.
        """

    @property
    def waiting(self) -> int:
        """Number of pieces of work in the writer's queue."""

    @property
    def busy_s(self) -> float:
        """Seconds since the writer began its current piece of work; 0 if it is waiting for work. Never
        blocks.
        """

    @property
    def refused(self) -> str | None:
        """Why the last write was refused; None if it succeeded."""

    @property
    def damage(self) -> str | None:
        """The damage found since the start; None if there is none."""

    def unreadable(self, part: StoredPart) -> int:
        """Number of failed reads of rows since the start, by part."""

    @property
    def used_bytes(self) -> int:
        """Bytes used on disk."""

    def compact(self) -> None:
        """Truncates files as far as readers allow. Raises StoreUnavailable."""

    @property
    def is_closed(self) -> bool:
        """Whether all accepted work is committed, and the store closed."""

    def close(self, seconds: float | None = None) -> bool:
        """Commits all accepted work, then closes. Returns False if that takes longer than `seconds`.

        Later writes raise StoreUnavailable.
        """
