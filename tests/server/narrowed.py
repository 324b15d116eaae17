"""Filters of one value for each field, as tests write them."""

from __future__ import annotations

from server.store.filters import FieldFilter, FilterField, Filters, FilterValue


def by(**values: FilterValue) -> Filters:
    """Rows whose fields have these values."""
    return Filters(tuple(FieldFilter(FilterField(name), (value,)) for name, value in values.items()))
