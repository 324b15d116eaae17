"""The store, whatever its engine: one writer, and any number of readers that each see one moment."""

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
        """Runs `work`, which reads, on the caller's thread, before anything was written. Raises Damaged."""

    def write(self, work: Callable[[Unit], T]) -> Future[T]:
        """Runs `work` in a transaction, on the writer's thread; the future is done after commit. Work that
        fails is undone alone. Raises StoreUnavailable, as may the future.
        """

    def reading(self) -> AbstractContextManager[Reader]:
        """One moment of the store. Raises StoreUnavailable."""

    def on_undo(self, forget: Callable[[], None]) -> None:
        """Registers what must be forgotten whenever work was undone; runs on the writer's thread."""

    def on_commit(self, publish: Callable[[], None]) -> None:
        """Registers what shows other threads what was written; runs on the writer's thread after each commit,
        before anybody learns of it. Must not raise.
        """

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for the writer."""

    @property
    def busy_s(self) -> float:
        """For how many seconds the writer has been at one piece of work; 0 where it waits for some. Waits
        for nothing.
        """

    @property
    def refused(self) -> str | None:
        """Why the last write was not taken; None where it was."""

    @property
    def damage(self) -> str | None:
        """What was found damaged since the start."""

    def unreadable(self, part: StoredPart) -> int:
        """How often a row of it could not be read since the start."""

    @property
    def used_bytes(self) -> int:
        """What the store takes of its disk."""

    def compact(self) -> None:
        """Cuts files to size, as far as readers allow. Raises StoreUnavailable."""

    @property
    def is_closed(self) -> bool:
        """Whether all that was accepted is committed, and the store closed."""

    def close(self, seconds: float | None = None) -> bool:
        """Commits all that was accepted, then closes; False where that takes longer than so many seconds.

        Later writes raise StoreUnavailable.
        """
