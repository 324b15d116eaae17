"""An exchange with its judgement, for what is made of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.wire import Record
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.model import Judgement


class Matching(Protocol):
    """What judges records."""

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """`record` was judged; `bodies` are its own, as far as they were read for that."""

    record: Record
    judgement: Judgement
    bodies: JsonBodies

    @classmethod
    def by(cls, specification: Matching, record: Record, bodies: JsonBodies | None = None) -> Judged:
        """`bodies` are there where another specification judged the record before."""
        bodies = bodies or JsonBodies()
        return cls(record, specification.match(record, bodies), bodies)
