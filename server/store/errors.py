"""Why the store does not do what it is asked for."""

from __future__ import annotations

CURE = "stop the server and start it once with --salvage"


class StoreUnavailable(RuntimeError):
    """Nothing can be written or read now (disk full, database locked, too much waiting); try again later."""


class Damaged(StoreUnavailable):
    """What is stored cannot be read as it was written; `spectap server --salvage` is the way out."""


class KeyCollision(RuntimeError):
    """What was to be stored has the number of something else (store/keys.py): it is refused, not mixed."""
