"""Filters of lists."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from server.store.rows import DeviationState


class DeviationsShown(Enum):
    """Which deviations are listed: without ignored ones, or all."""

    OPEN_OR_ACCEPTED = "open or accepted"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a list; None means any. `since` is inclusive, `until` exclusive, in ns; `status_class` 5
    means 5xx. `new_since` is the earliest time of a first call; `specified` APIs have a specification.
    `image` is a name as pods have it, or a digest; `pod`, `image` and, of exchanges, `namespace` and
    `workload` may be of either end.
    """

    api: int | None = None
    method: str | None = None
    path_prefix: str | None = None
    status: int | None = None
    status_class: int | None = None
    verdict: str | None = None
    consumer: str | None = None
    namespace: str | None = None
    workload: str | None = None
    cluster: str | None = None
    pod: str | None = None
    image: str | None = None
    since: int | None = None
    until: int | None = None
    new_since: int | None = None
    specified: bool | None = None
    deviation: int | None = None
    state: DeviationState | DeviationsShown = DeviationsShown.OPEN_OR_ACCEPTED
