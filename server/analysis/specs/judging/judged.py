"""An exchange with its judgement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.wire import Record
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.model import Judgement


class Matching(Protocol):
    """The interface of validating records."""

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement: ...


class WithSpecification(Protocol):
    """What is known beside a specification."""

    @property
    def specification(self) -> Matching: ...


_M = TypeVar("_M", bound=WithSpecification)


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


def first_with_operation(candidates: Iterable[_M], record: Record) -> tuple[_M, Judged] | None:
    """The first candidate that has the record's operation, else the first of all; None without candidates."""
    first: tuple[_M, Judged] | None = None
    bodies = JsonBodies()
    for one in candidates:
        judged = Judged.by(one.specification, record, bodies)
        if judged.judgement.operation is not None:
            return one, judged
        first = first or (one, judged)
    return first
