"""Compiles a document's schemas into checkers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jsonschema_rs import Draft202012Validator, ReferencingError

from server.analysis.json import JsonObject
from server.analysis.specs.schemas.checker import CANNOT_RUN, Checker
from server.analysis.specs.schemas.convert import Converter, SchemaDirection, TooLarge
from server.analysis.specs.schemas.cost import CostLimits, Costs
from server.analysis.specs.schemas.fields import FieldIndex
from server.analysis.specs.schemas.survey import PATTERN_OPTIONS, SchemaSurvey
from server.analysis.specs.schemas.words import Words

BROKEN = "a schema for it is no valid schema"
TOO_COSTLY = "the schema expands beyond what can be checked in bounded time"
_NOT_FOLLOWED = "$dynamicRef is not followed"


class CannotCompile(Exception):
    """The message says why."""


class Compiler:
    """Compiles schemas for values of certain words, or any. `size` counts the schemas compiled."""

    def __init__(self, surveyed: SchemaSurvey, fields: FieldIndex, words: Words = None) -> None:
        self._surveyed, self._fields, self._words = surveyed, fields, words
        self._costs = Costs(surveyed, fields, words)
        self.size = 0

    def limits(self, places: Iterable[str]) -> dict[str, CostLimits]:
        """The limits of each place; none if it is too costly."""
        return self._costs.limits(places)

    def checkers(
        self, limits: Mapping[str, CostLimits], directions: Sequence[SchemaDirection]
    ) -> dict[tuple[str, SchemaDirection], Checker]:
        """Checkers for these directions, for which schemas are equal. Raises CannotCompile."""
        try:
            return self._checkers(limits, directions)
        except (TooLarge, RecursionError):
            raise CannotCompile("the document has more schemas than can be kept") from None
        except (ValueError, ReferencingError):
            raise CannotCompile("the document's schemas cannot be compiled") from None

    def alone(self, place: str, direction: SchemaDirection) -> Draft202012Validator | None:
        """Whether a value conforms, under the name `place`; None if it cannot be compiled."""
        try:
            return self._converted([place], direction, soft=False)[0] if self.limits([place]) else None
        except (TooLarge, RecursionError, ValueError, ReferencingError):
            return None

    def _checkers(
        self, limits: Mapping[str, CostLimits], directions: Sequence[SchemaDirection]
    ) -> dict[tuple[str, SchemaDirection], Checker]:
        surveyed = self._surveyed
        soft, branching = self._converted(limits, directions[0], soft=True)
        hard = self._converted(branching, directions[0], soft=False)[0] if branching else None
        sure = None
        if surveyed.bad_patterns or surveyed.has_dynamic or surveyed.broken:
            sure = self._converted(limits, directions[0], soft=False, doubtful=True)[0]
        reasons = {
            CANNOT_RUN: bool(surveyed.bad_patterns),
            _NOT_FOLLOWED: surveyed.has_dynamic,
            BROKEN: bool(surveyed.broken),
        }
        unsure = ", or ".join(reason for reason, holds in reasons.items() if holds)
        return {
            (place, direction): Checker(
                place,
                soft,
                hard if place in branching else None,
                direction,
                limit,
                sure=sure,
                unsure=unsure,
            )
            for place, limit in limits.items()
            for direction in directions
        }

    def _converted(
        self, places: Iterable[str], direction: SchemaDirection, soft: bool, doubtful: bool = False
    ) -> tuple[Draft202012Validator, frozenset[str]]:
        converter = Converter(self._surveyed, self._fields, direction, doubtful, self._words)
        branching = converter.convert(places, soft)
        self.size += converter.size
        schema: JsonObject = {"properties": converter.references, "$defs": converter.definitions}
        return _compiled(schema), branching


def refused(place: str, direction: SchemaDirection, why: str) -> Checker:
    """A checker that leaves every value unjudged."""
    return Checker(place, None, None, direction, CostLimits(0, 0), why)


def _compiled(schema: JsonObject) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=True,
        mask="the value",
        pattern_options=PATTERN_OPTIONS,
        offline=True,
    )
