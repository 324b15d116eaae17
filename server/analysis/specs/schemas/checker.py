"""Validates values by a compiled schema."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf

from jsonschema_rs import Draft202012Validator, ValidationError

from server.analysis.json import Json, JsonObject
from server.analysis.specs.kinds import Kind
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.cost import CostLimits
from server.analysis.specs.schemas.errors import SchemaError, schema_errors, soft_errors

MAX_WORK = 1_000_000  # checks of single values that one body may cause
MAX_WORK_FOR_ALL = 50_000  # beyond it only the first error is reported: an error costs far more than a check
MAX_ERRORS = 200

CANNOT_RUN = "a pattern cannot be run in bounded time"
_OUT_OF_RANGE = "a number in it is too large to be validated"


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
    unsure: str = CANNOT_RUN

    def for_value(self, value: Json) -> Checker:
        """The checker to use for a value: this one, which is compiled for any."""
        return self

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
