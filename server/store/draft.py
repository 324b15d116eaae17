"""An exchange on its way into the store: its views, and what was made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.wire import Record
from server.analysis.specs.deviation import DeviationIdentity
from server.store.values import Contribution, Covered


@dataclass(slots=True)
class ExchangeDraft:
    """`number` is that of its first view, `second` of the other; `stored` says whether it is in the store
    already. What the counters hold of it is `counted`, `deviations` (with their messages) and `covered`
    (judged under `revision` of its API).
    """

    number: int
    records: list[Record]
    stored: bool = False
    second: int | None = None
    api: int = 0
    duration: int | None = None
    why: str | None = None
    deprecated: bool = False
    revision: int = 0
    counted: Contribution | None = None
    deviations: Mapping[DeviationIdentity, str] = field(default_factory=dict)
    covered: Covered | None = None  # None: nothing, or (if stored) not known any more

    @property
    def id(self) -> str:
        return self.records[0].id
