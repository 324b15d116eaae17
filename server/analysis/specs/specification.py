"""A loaded specification, which validates records."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.wire import Record
from server.analysis.json import Json, JsonObject
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.judging.match import Matcher
from server.analysis.specs.judging.outcome import NamesPlace
from server.analysis.specs.model import Judgement, Operation
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.validators import Parts, Schemas


@dataclass(frozen=True, slots=True)
class Specification:
    """`base_paths` are the document's servers', ("",) if it has none; `warnings` name the parts of the
    document that are not validated.
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
        """Every schema that may apply at a place of an operation, by its own place."""
        return self.schemas.parts(place)

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool:
        """Whether a value conforms to the schema at a place, such as an alternative of another one."""
        return self.schemas.fits(place, value, direction)

    def naming(self, names: NamesPlace) -> Specification:
        """The same specification for unmasked records, whose places are printable after `names` alone."""
        return replace(self, matcher=self.matcher.naming(names))

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement:
        """The judgement of one record; `bodies` are passed by callers that also read them. Never raises."""
        return self.matcher.match(record, bodies)
