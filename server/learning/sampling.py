"""Which of many stored exchanges are learnt: some of each API, operation and status."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from server.store.rebuilt import Stored


def sample(found: Iterable[Stored], most: int) -> list[Stored]:
    """At most so many, in turn of each API, operation and status; all of them if they are few."""
    groups: dict[tuple[int, int, int], list[Stored]] = {}
    total = 0
    for one in found:
        groups.setdefault((one.api, one.operation, one.status), []).append(one)
        total += 1
    if total <= most:
        return [one for group in groups.values() for one in group]
    turns = (one for turn in zip_longest(*groups.values()) for one in turn if one is not None)
    return [one for one, _ in zip(turns, range(most), strict=False)]
