"""The errors that a store raises."""

from __future__ import annotations

CURE = "stop the server and start it once with --salvage"


class StoreUnavailable(RuntimeError):
    """The store cannot be read or written now (disk full, database locked, too much queued work); try again
    later.
    """


class Damaged(StoreUnavailable):
    """Stored data cannot be read back; `spectap server --salvage` recovers what is readable."""


class KeyCollision(RuntimeError):
    """A number is taken by another key (store/keys.py). The new item is refused rather than mixed with the
    other.
    """
