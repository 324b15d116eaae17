"""An exchange on its way into the store: its views and the results of validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.wire import Record
from server.analysis.specs.deviation import DeviationIdentity
from server.store.values import Contribution, Covered


@dataclass(slots=True)
class ExchangeDraft:
    """An exchange being counted. `number` is that of its first view, `second` that of the other; `stored`
    says whether it is in the store already. `counted`, `deviations` (with messages) and `covered` are what
    the counters contain of it, as of `revision` of its API; of an earlier revision than the current one, they
    contain the call only.
    """

    number: int
    records: list[Record]
    stored: bool = False
    second: int | None = None
    api: int = 0
    duration: int | None = None
    why: str | None = None
    fault: str | None = None
    deprecated: bool = False
    revision: int = 0
    counted: Contribution | None = None
    deviations: Mapping[DeviationIdentity, str] = field(default_factory=dict)
    covered: Covered | None = None  # None: nothing, or (if stored) unknown

    @property
    def id(self) -> str:
        return self.records[0].id
