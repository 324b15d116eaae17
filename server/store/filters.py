"""Filters of lists."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from server.store.rows import DeviationState


class DeviationsShown(Enum):
    """Which deviations are listed: without ignored ones, or all."""

    OPEN_OR_ACCEPTED = "open or accepted"
    ALL = "all"


class FilterField(StrEnum):
    """What lists are filtered by. server/query/fields.py has the meaning of each."""

    API = "api"
    HOST = "host"
    OPERATION = "operation"
    METHOD = "method"
    PATH = "path"
    PATH_PREFIX = "path_prefix"
    STATUS = "status"
    VERDICT = "verdict"
    FAULT = "fault"
    KIND = "kind"
    SEVERITY = "severity"
    STATE = "state"
    SPECIFIED = "specified"
    EXTERNAL = "external"
    DEPRECATED = "deprecated"
    CONSUMER = "consumer"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    CLUSTER = "cluster"
    POD = "pod"
    IMAGE = "image"
    TOOK = "took"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Like:
    """A text with wildcards: * is any text, ? one character, and \\ takes the next character as it is."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Within:
    """Integers from `low` to `high`, both inclusive; None is unbounded."""

    low: int | None = None
    high: int | None = None


FilterValue = int | str | Like | Within
"""A number is the store's own key, or an integer such as a status (0: no response) or a duration in ns."""


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """Rows whose field has one of the values; if `negated`, the other rows."""

    field: FilterField
    values: tuple[FilterValue, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of a list: by a key of server/query/sorting.py."""

    key: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters and order of a list: rows that all `fields` select. None means any: `api` and `deviation` are
    the store's numbers, `since` is inclusive, `until` exclusive, `new_since` the earliest time of a first
    call, in ns. Pods, images and, of exchanges, namespaces and workloads may be of either end.
    """

    fields: tuple[FieldFilter, ...] = ()
    api: int | None = None
    since: int | None = None
    until: int | None = None
    new_since: int | None = None
    deviation: int | None = None
    sort: Sort | None = None
    state: DeviationState | DeviationsShown = DeviationsShown.OPEN_OR_ACCEPTED
