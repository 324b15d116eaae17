"""The fields of the query language, which are parameters of the lists as well. server/api/README.md has the
table, which a test compares with this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from server.analysis.specs.kinds import Fault, Kind, Severity, Verdict
from server.query import values
from server.query.values import ValueReader
from server.store.filters import FilterField
from server.store.rows import DeviationState


class ListName(StrEnum):
    """The lists that a query narrows."""

    APIS = "apis"
    OPERATIONS = "operations"
    DEVIATIONS = "deviations"
    EXCHANGES = "exchanges"
    CONSUMERS = "consumers"


EVERY_LIST = frozenset(ListName)
NOT_CONSUMERS = EVERY_LIST - {ListName.CONSUMERS}
ANY_STATE = "all"


@dataclass(frozen=True, slots=True)
class QueryField:
    """`choices` are its usual values, if it has few. `separated` ones may be separated by commas. `read` is
    None for times, which are given once.
    """

    name: str
    meaning: str
    example: str
    read: ValueReader | None = values.name
    lists: frozenset[ListName] = EVERY_LIST
    choices: Sequence[str] = ()
    separated: bool = False

    @property
    def field(self) -> FilterField:
        return FilterField(self.name)


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CLASSES = ("2xx", "3xx", "4xx", "5xx", "none")
ONLY_APIS = frozenset({ListName.APIS})
ONLY_DEVIATIONS = frozenset({ListName.DEVIATIONS})
ONLY_EXCHANGES = frozenset({ListName.EXCHANGES})


def _one_of(
    name: str, meaning: str, known: Sequence[str], lists: frozenset[ListName] = EVERY_LIST
) -> QueryField:
    return QueryField(name, meaning, known[0], values.choice(known), lists, known, separated=True)


_ROWS = (
    QueryField("api", "The API, by id or name", "orders*"),
    QueryField("host", "A host that clients call; without a port, with any", "orders.local", values.host),
    QueryField("operation", "The operation, by id or name", "GET */refunds", values.operation),
    QueryField("method", "The method, in any case", "GET", values.method, choices=METHODS, separated=True),
    QueryField("path", "An exchange's path without query, else an operation's template", "*refund*"),
    QueryField("path_prefix", "The beginning of that; no wildcards", "/orders", values.plain),
    QueryField(
        "status",
        "A status, class, comparison or range; `none` is without a response",
        "5xx",
        values.status,
        choices=CLASSES,
        separated=True,
    ),
    _one_of("verdict", "The verdict", [*Verdict]),
    _one_of("fault", "Whose the difference is", [*Fault]),
    _one_of("kind", "The kind of a deviation", [*Kind]),
    _one_of("severity", "The severity of a deviation", [*Severity]),
    _one_of(
        "state",
        "The decision on a deviation; `all` includes ignored ones",
        [*DeviationState, ANY_STATE],
        ONLY_DEVIATIONS,
    ),
    QueryField(
        "specified", "Whether the API has a specification", "no", values.yes_or_no, ONLY_APIS, ("yes", "no")
    ),
    QueryField(
        "external",
        "Whether the API is served elsewhere, and only called from here",
        "yes",
        values.yes_or_no,
        ONLY_APIS,
        ("yes", "no"),
    ),
    QueryField(
        "deprecated",
        "Whether the operation is deprecated",
        "yes",
        values.yes_or_no,
        frozenset({ListName.OPERATIONS, ListName.EXCHANGES, ListName.CONSUMERS}),
        ("yes", "no"),
    ),
    QueryField("consumer", "The consumer, by id or name", "legacy*", values.name_or_id),
    QueryField("namespace", "The namespace: an exchange's at either end, else the API's", "shop"),
    QueryField("workload", "The workload, likewise", "checkout"),
    QueryField("cluster", "The cluster", "east"),
    QueryField("pod", "A pod: an exchange's at either end, else in a stored one of the API", "checkout-*"),
    QueryField("image", "An image as pods name it, or its digest, likewise", "*/checkout:1.2"),
    QueryField("took", "The duration, compared", ">500ms", values.took, ONLY_EXCHANGES),
    QueryField("since", "Then or later: how long ago, RFC 3339, or seconds since 1970", "1h", None),
    QueryField(
        "new_since", "First seen then or later; of exchanges the same as since", "1d", None, NOT_CONSUMERS
    ),
    QueryField("until", "Before that", "2026-03-01T12:00:00Z", None),
)
FIELDS: Mapping[str, QueryField] = {one.name: one for one in _ROWS}


def fields_of(of: ListName) -> Mapping[str, QueryField]:
    """The fields of a list."""
    return {name: one for name, one in FIELDS.items() if of in one.lists}
