"""Validators of a document's schemas: converted and compiled on first use, kept within a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from server.analysis.specs.convert import Converter, Direction, TooLarge
from server.analysis.specs.cost import Costs, Limits, TooCostly
from server.analysis.specs.fields import FieldIndex, Heirs
from server.analysis.specs.findings import Finding, findings, soft_findings
from server.analysis.specs.pointers import Pointers
from server.analysis.specs.survey import PATTERN_OPTIONS
from server.analysis.specs.values import TEXT, Form, form_of

MAX_COMPILED = 500_000  # schemas in all validators kept; one is about 1 KB
MAX_WORK = 1_000_000  # checks of single values that one body may cost
MAX_WORK_FOR_ALL = 50_000  # beyond it only the first error is told: making each costs far more than a check
MAX_ERRORS = 200


@dataclass(frozen=True, slots=True)
class Checker:
    """Judges values by one schema. `why` is set where no value can be judged by it.

    `hard` says what conforms; `soft` (None: the same) also refuses fields that are not named, or of the
    other direction.
    """

    soft: Draft202012Validator | None
    hard: Draft202012Validator | None
    direction: Direction
    limits: Limits
    size: int
    why: str | None = None

    def conforms(self, value: Any) -> bool:
        """Whether there is nothing to find."""
        assert self.soft is not None
        return self.soft.is_valid(value) and (self.hard is None or self.hard.is_valid(value))

    def findings(self, value: Any, size: int) -> list[Finding]:
        """What is wrong with a value of `size` bytes that does not conform."""
        assert self.soft is not None
        every = self.limits.load * size // 4 <= MAX_WORK_FOR_ALL
        if self.hard is None:
            return findings(_errors(self.soft, value, every), self.direction)
        hard = findings(_errors(self.hard, value, every), self.direction)
        blamed = {finding.pointer for finding in hard}
        soft = soft_findings(_errors(self.soft, value, every), self.direction)
        return hard + [finding for finding in soft if finding.pointer not in blamed]

    def too_much(self, size: int) -> bool:
        """Whether a body of `size` bytes might cost more than MAX_WORK."""
        return self.limits.load * size // 4 > MAX_WORK


def _errors(validator: Draft202012Validator, value: Any, every: bool) -> list[ValidationError]:
    if every:
        return [error for error, _ in zip(validator.iter_errors(value), range(MAX_ERRORS), strict=False)]
    try:
        validator.validate(value)
    except ValidationError as error:
        return [error]
    return []


class Schemas:
    """Checkers of one document, by place and direction. The document has been surveyed."""

    def __init__(
        self,
        pointers: Pointers,
        is_31: bool,
        heirs: Heirs,
        bad_patterns: frozenset[str],
    ) -> None:
        self._pointers, self._is_31, self._bad_patterns = pointers, is_31, bad_patterns
        self._fields = FieldIndex(pointers, is_31, heirs)
        self._costs = Costs(pointers, self._fields, is_31)
        self._checkers: dict[tuple[str, Direction], Checker] = {}
        self._forms: dict[str, Form] = {}
        self._compiled = 0

    def checker(self, place: str, direction: Direction) -> Checker:
        """The checker of the schema at `place`."""
        found = self._checkers.get((place, direction))
        return found if found is not None else self._remember(place, direction)

    def form(self, place: str | None) -> Form:
        """What texts may stand for by the schema at `place`; text where there is none."""
        if place is None:
            return TEXT
        if place not in self._forms:
            self._forms[place] = form_of(place, self._pointers, self._fields)
        return self._forms[place]

    def _remember(self, place: str, direction: Direction) -> Checker:
        made = self._make(place, direction)
        while self._checkers and self._compiled + made.size > MAX_COMPILED:
            self._compiled -= self._checkers.pop(next(iter(self._checkers))).size
        self._checkers[place, direction] = made
        self._compiled += made.size
        return made

    def _make(self, place: str, direction: Direction) -> Checker:
        try:
            limits = self._costs.limits(place)
            soft = self._converter(direction).root(place, soft=True)
            hard = self._converter(direction).root(place, soft=False) if soft.branches else None
            return Checker(
                _compile(soft.schema),
                _compile(hard.schema) if hard else None,
                direction,
                limits,
                soft.size + (hard.size if hard else 0),
            )
        except (TooCostly, TooLarge, RecursionError):
            why = "the schema expands beyond what can be checked in bounded time"
        except (ValueError, ReferencingError):
            why = "the schema cannot be compiled"
        return Checker(None, None, direction, Limits(0, 0), 1, why)

    def _converter(self, direction: Direction) -> Converter:
        return Converter(self._pointers, self._fields, self._is_31, self._bad_patterns, direction)


def _compile(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=True,
        mask="the value",
        pattern_options=PATTERN_OPTIONS,
        offline=True,
    )
