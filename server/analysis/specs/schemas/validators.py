"""Validators of a document's schemas, converted and compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isinf

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from server.analysis.json import Json, JsonObject
from server.analysis.specs.kinds import Kind
from server.analysis.specs.model import SpecError
from server.analysis.specs.schemas.convert import Converter, SchemaDirection, TooLarge
from server.analysis.specs.schemas.cost import CostLimits, Costs
from server.analysis.specs.schemas.errors import SchemaError, schema_errors, soft_errors
from server.analysis.specs.schemas.fields import MAX_CLOSURE, FieldIndex
from server.analysis.specs.schemas.form import TEXT, Form, form_of
from server.analysis.specs.schemas.survey import PATTERN_OPTIONS, SchemaSurvey

MAX_WORK = 1_000_000  # checks of single values that one body may cause
MAX_WORK_FOR_ALL = 50_000  # beyond it only the first error is reported: an error costs far more than a check
MAX_ERRORS = 200
Parts = Mapping[str, JsonObject]

_CANNOT_RUN = "a pattern cannot be run in bounded time"
_NOT_FOLLOWED = "$dynamicRef is not followed"
_OUT_OF_RANGE = "a number in it is too large to be validated"
_TOO_COSTLY = "the schema expands beyond what can be checked in bounded time"


@dataclass(frozen=True, slots=True)
class Checker:
    """Validates values by one schema. `why` is set if the schema cannot be used.

    `soft` also refuses fields that are not named, or of the other direction; `hard` checks only conformity,
    None if `soft` suffices for that. `sure` also refuses values that an unsupported pattern or a
    `$dynamicRef` would have to decide, which `unsure` says; None if the document has none. All three contain
    many schemas, this one under `name`.
    """

    name: str
    soft: Draft202012Validator | None
    hard: Draft202012Validator | None
    direction: SchemaDirection
    limits: CostLimits
    why: str | None = None
    sure: Draft202012Validator | None = None
    unsure: str = _CANNOT_RUN

    def conforms(self, value: Json) -> bool:
        """Whether the value has no errors."""
        assert self.soft is not None
        named: JsonObject = {self.name: value}
        return self.soft.is_valid(named) and (self.hard is None or self.hard.is_valid(named))

    def doubt(self, value: Json) -> str | None:
        """Why it is uncertain that a conforming value conforms: a pattern for it is unsupported."""
        return None if self.sure is None or self.sure.is_valid({self.name: value}) else self.unsure

    def blame(self, value: Json, size: int) -> tuple[list[SchemaError], str | None]:
        """The errors of a non-conforming value of `size` bytes, and why they are uncertain: inside `not` and
        `oneOf` an unsupported pattern, which matches every text, can cause errors. A number beyond a double's
        range (`1e999`), which the validator takes for null, can cause any error, so none is reported.
        """
        if _has_infinity(value):
            return [], _OUT_OF_RANGE
        errors = self.errors(value, size)
        if self.sure is None or not self.sure.is_valid({self.name: value}):
            return errors, None
        certain = [error for error in errors if error.kind is not Kind.ONE_OF]
        return certain, self.unsure if len(certain) < len(errors) else None

    def errors(self, value: Json, size: int) -> list[SchemaError]:
        """The errors of a non-conforming value of `size` bytes."""
        assert self.soft is not None
        named: JsonObject = {self.name: value}
        every = self.limits.load * size // 4 <= MAX_WORK_FOR_ALL
        if self.hard is None:
            return schema_errors(_errors(self.soft, named, every), self.direction)
        hard = schema_errors(_errors(self.hard, named, every), self.direction)
        blamed = {error.pointer for error in hard}
        soft = soft_errors(_errors(self.soft, named, every), self.direction)
        return hard + [error for error in soft if error.pointer not in blamed]

    def too_much(self, size: int) -> bool:
        """Whether a body of `size` bytes may cause more than MAX_WORK."""
        return self.limits.load * size // 4 > MAX_WORK


def _errors(validator: Draft202012Validator, value: Json, every: bool) -> list[ValidationError]:
    if every:
        return [error for error, _ in zip(validator.iter_errors(value), range(MAX_ERRORS), strict=False)]
    try:
        validator.validate(value)
    except ValidationError as error:
        return [error]
    return []


def _has_infinity(value: Json) -> bool:
    """Whether a number was read as infinite. Only non-conforming values are searched: a search of every body
    costs more than it finds.
    """
    pending = [value]
    for one in pending:
        if isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, float) and isinf(one):
            return True
    return False


class Schemas:
    """The checkers of one document's schemas, compiled together for each direction, so that shared ones are
    compiled once.
    """

    def __init__(
        self,
        roots: Mapping[SchemaDirection, Iterable[str]],
        surveyed: SchemaSurvey,
        warn: Callable[[str], None],
    ) -> None:
        """`roots`: the places of the schemas for values."""
        self._surveyed, self._warn = surveyed, warn
        self._pointers = surveyed.pointers
        self._fields = FieldIndex(surveyed.pointers, surveyed.is_31, surveyed.heirs)
        self._costs = Costs(surveyed.pointers, self._fields, surveyed.is_31)
        self._checkers: dict[tuple[str, SchemaDirection], Checker] = {}
        self._forms: dict[str, Form] = {}
        self._fitting: dict[tuple[str, SchemaDirection], Draft202012Validator | None] = {}
        if surveyed.has_directions:
            for direction, places in roots.items():
                self._add(dict.fromkeys(places), [direction])
        else:
            self._add(dict.fromkeys(place for places in roots.values() for place in places), [*roots])

    def checker(self, place: str, direction: SchemaDirection) -> Checker:
        """The checker of a root."""
        return self._checkers[place, direction]

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool:
        """Whether a value conforms to a schema that is no root, such as an alternative; it is compiled when
        it is first asked for. False if it cannot be.
        """
        if (place, direction) not in self._fitting:
            self._fitting[place, direction] = self._alone(place, direction)
        validator = self._fitting[place, direction]
        return validator is not None and validator.is_valid({place: value})

    def _alone(self, place: str, direction: SchemaDirection) -> Draft202012Validator | None:
        try:
            if place not in self._costs.limits([place]):
                return None
            return self._converted([place], direction, soft=False)[0]
        except (TooLarge, RecursionError, ValueError, ReferencingError, SpecError):
            return None

    def form(self, place: str | None) -> Form:
        """The form of the schema at `place`; text if there is none."""
        if place is None:
            return TEXT
        if place not in self._forms:
            self._forms[place] = form_of(place, self._pointers, self._fields)
        return self._forms[place]

    def parts(self, place: str) -> Parts:
        """Every schema that may apply at `place`, by its own place: references, alternatives, heirs. None if
        unknown: schemas below keywords of other OpenAPI versions were not checked.
        """
        try:
            node = self._pointers.at(place, place)
            return {at: part for part, at in islice(self._fields.closure(node, place), MAX_CLOSURE)}
        except SpecError:
            return {}

    def _add(self, places: Iterable[str], directions: Sequence[SchemaDirection]) -> None:
        """Compiles roots for these directions, for which schemas are equal."""
        limits = self._costs.limits(places)
        for place in places:
            if place not in limits:
                self._refuse(place, directions, _TOO_COSTLY)
        try:
            self._compile(limits, directions)
        except (TooLarge, RecursionError):
            reason = "the document has more schemas than can be kept"
        except (ValueError, ReferencingError):
            reason = "the document's schemas cannot be compiled"
        else:
            return
        for place in limits:
            self._refuse(place, directions, reason)

    def _compile(self, limits: Mapping[str, CostLimits], directions: Sequence[SchemaDirection]) -> None:
        """Raises TooLarge, and what the compiler raises."""
        soft, branching = self._converted(limits, directions[0], soft=True)
        hard = self._converted(branching, directions[0], soft=False)[0] if branching else None
        sure = None
        if self._surveyed.bad_patterns or self._surveyed.has_dynamic:
            sure = self._converted(limits, directions[0], soft=False, doubtful=True)[0]
        reasons = {_CANNOT_RUN: bool(self._surveyed.bad_patterns), _NOT_FOLLOWED: self._surveyed.has_dynamic}
        unsure = ", or ".join(reason for reason, holds in reasons.items() if holds)
        for place, limit in limits.items():
            own = hard if place in branching else None
            for direction in directions:
                self._checkers[place, direction] = Checker(
                    place, soft, own, direction, limit, sure=sure, unsure=unsure
                )

    def _converted(
        self, places: Iterable[str], direction: SchemaDirection, soft: bool, doubtful: bool = False
    ) -> tuple[Draft202012Validator, frozenset[str]]:
        converter = Converter(self._surveyed, self._fields, direction, doubtful)
        branching = converter.convert(places, soft)
        schema: JsonObject = {"properties": converter.references, "$defs": converter.definitions}
        return _compiled(schema), branching

    def _refuse(self, place: str, directions: Sequence[SchemaDirection], why: str) -> None:
        self._warn(f"{place}: {why}; it is not validated")
        for direction in directions:
            self._checkers[place, direction] = Checker(place, None, None, direction, CostLimits(0, 0), why)


def _compiled(schema: JsonObject) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=True,
        mask="the value",
        pattern_options=PATTERN_OPTIONS,
        offline=True,
    )
