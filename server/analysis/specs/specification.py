"""A loaded specification: what it says, and the judgement of records by it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.judging.match import Matcher
from server.analysis.specs.model import Judgement, Operation
from server.analysis.specs.schemas.validators import Parts, Schemas


@dataclass(frozen=True, slots=True)
class Specification:
    """`base_paths` are those of the document's own servers, ("",) where it names none; `warnings` say
    what of the document is not used in judging.
    """

    title: str
    version: str
    document: JsonObject
    base_paths: tuple[str, ...]
    operations: tuple[Operation, ...]
    warnings: tuple[str, ...]
    matcher: Matcher
    schemas: Schemas

    def parts(self, place: str) -> Parts:
        """Every schema that may apply at a place that an operation names, by its own place."""
        return self.schemas.parts(place)

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement:
        """The judgement of one record; who reads its bodies besides passes them. Never raises, whatever the
        record holds.
        """
        return self.matcher.match(record, bodies)
