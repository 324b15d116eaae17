"""The orders of lists, as people ask for them: `last_seen` from the lowest, `-last_seen` from the highest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.query.errors import QueryError, did_you_mean
from server.query.fields import ListName
from server.store.filters import Sort

SORTS: Mapping[ListName, Sequence[str]] = {
    ListName.APIS: ("last_seen", "first_seen", "exchanges", "operations"),
    ListName.OPERATIONS: ("count", "last_seen", "first_seen"),
    ListName.DEVIATIONS: ("last_seen", "first_seen", "count"),
    ListName.EXCHANGES: ("time",),
    ListName.CONSUMERS: ("calls", "deprecated_calls", "operations", "last_seen", "first_seen"),
}
"""The members by which each list is sorted; without another wish, by the first one, from the highest."""


def sort_of(of: ListName, text: str) -> Sort:
    """The order of a list. Raises QueryError."""
    key = text.removeprefix("-")
    if key not in SORTS[of]:
        known = ", ".join(SORTS[of])
        raise QueryError(f"is none of {known}{did_you_mean(key, SORTS[of])}", "sort")
    return Sort(key, ascending=not text.startswith("-"))
