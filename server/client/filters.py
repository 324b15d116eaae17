"""The filters of lists: the fields of the query language. Several values of one mean any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

Values = str | Sequence[str]


class CommonFilters(TypedDict, total=False):
    """`q` is a query, such as `status:5xx -consumer:legacy* since:1h`; `sort` a member of the items, with `-`
    before it from the highest; `limit` the most items. Times are RFC 3339, or such as `1h` (ago).
    """

    q: str
    limit: int
    api: Values
    host: Values
    operation: Values
    method: Values
    path: Values
    path_prefix: Values
    status: Values
    verdict: Values
    fault: Values
    kind: Values
    severity: Values
    consumer: Values
    namespace: Values
    workload: Values
    cluster: Values
    pod: Values
    image: Values
    since: str
    until: str


class SortedFilters(CommonFilters, total=False):
    sort: str


class DatedFilters(SortedFilters, total=False):
    new_since: str


class ApisFilters(DatedFilters, total=False):
    specified: str
    external: str


class OperationsFilters(DatedFilters, total=False):
    """`state`: shadow, zombie or unused; default: all that were called."""

    deprecated: str
    state: str


class DeviationsFilters(DatedFilters, total=False):
    state: Values


class ConsumersFilters(SortedFilters, total=False):
    deprecated: str


class CallsFilters(CommonFilters, total=False):
    """Of counts, which have no order."""

    deprecated: str


class ExchangesFilters(DatedFilters, total=False):
    deprecated: str
    took: Values


class AgentsFilters(TypedDict, total=False):
    cluster: str
    node: str
    limit: int


EXAMPLES: Mapping[str, str] = {
    "api": "orders*",
    "host": "orders.local",
    "operation": "GET */refunds",
    "method": "GET",
    "path": "*refund*",
    "path_prefix": "/orders",
    "status": "5xx",
    "verdict": "shadow",
    "fault": "caller",
    "kind": "unknown-path",
    "severity": "high",
    "state": "open",
    "specified": "no",
    "external": "yes",
    "deprecated": "yes",
    "consumer": "legacy*",
    "namespace": "shop",
    "workload": "checkout",
    "cluster": "east",
    "node": "node-1",
    "pod": "checkout-*",
    "image": "*/checkout:1.2",
    "took": ">500ms",
    "since": "1h",
    "new_since": "1d",
    "until": "2026-03-01T12:00:00Z",
}
"""A value of each field, for people."""


def fields(filters: type) -> list[str]:
    """The fields of a list, without its query, order and limit."""
    return [name for name in EXAMPLES if name in filters.__annotations__]


def parameters(filters: Mapping[str, object]) -> tuple[dict[str, str | list[str]], int | None]:
    """Filters as parameters of a URL, and the most items."""
    limit = filters.get("limit")
    found: dict[str, str | list[str]] = {
        name: value if isinstance(value, str) else [*map(str, value)]
        for name, value in filters.items()
        if name != "limit" and isinstance(value, (str, Sequence)) and value
    }
    return found, limit if isinstance(limit, int) else None
