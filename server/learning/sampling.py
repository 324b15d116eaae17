"""Samples stored exchanges for learning: some of each API, operation and status.

Accepted ones go first: only they teach what an API accepts, and a scan may be of any number of operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from server.store.rows import Learnable


def sample(found: Iterable[Learnable], most: int) -> list[Learnable]:
    """At most the given number, taken in turn from each API, operation and status; all if they are few."""
    groups: dict[tuple[int, int, int | None], list[Learnable]] = {}
    total = 0
    for one in found:
        groups.setdefault((one.api, one.operation, one.status), []).append(one)
        total += 1
    if total <= most:
        return [one for group in groups.values() for one in group]
    in_turn = sorted(groups.values(), key=lambda group: not _is_accepted(group[0].status))
    turns = (one for turn in zip_longest(*in_turn) for one in turn if one is not None)
    return [one for one, _ in zip(turns, range(most), strict=False)]


def _is_accepted(status: int | None) -> bool:
    return status is not None and 200 <= status < 400
