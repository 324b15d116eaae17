"""An exchange with its judgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.wire import Record
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.model import Judgement


class Matching(Protocol):
    """The interface of validating records."""

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """`record` was validated; `bodies` are its bodies, as far as they were read for that."""

    record: Record
    judgement: Judgement
    bodies: JsonBodies

    @classmethod
    def by(cls, specification: Matching, record: Record, bodies: JsonBodies | None = None) -> Judged:
        """`bodies` are given if another specification has validated the record before."""
        bodies = bodies or JsonBodies()
        return cls(record, specification.match(record, bodies), bodies)
