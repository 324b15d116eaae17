"""The checkers of a document's schemas: compiled together and once, or, of a large document, when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from jsonschema_rs import Draft202012Validator

from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.pointers import is_reference
from server.analysis.specs.model import SpecError
from server.analysis.specs.schemas.checker import Checker
from server.analysis.specs.schemas.compiler import TOO_COSTLY, CannotCompile, Compiler, refused
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.deferred import AnyChecker, Deferred, DeferredChecker
from server.analysis.specs.schemas.fields import MAX_CLOSURE, FieldIndex
from server.analysis.specs.schemas.form import TEXT, Form, form_of
from server.analysis.specs.schemas.survey import SchemaSurvey

MAX_TOGETHER = 20_000  # schemas; of more, each is compiled when traffic touches it
Parts = Mapping[str, JsonObject]


class Schemas:
    """The checkers of one document's schemas. Up to MAX_TOGETHER they are compiled together for each
    direction, so that shared ones are compiled once.
    """

    def __init__(
        self,
        roots: Mapping[SchemaDirection, Iterable[str]],
        surveyed: SchemaSurvey,
        warn: Callable[[str], None],
    ) -> None:
        """`roots`: the places of the schemas for values."""
        self._warn = warn
        self._pointers = surveyed.pointers
        self._fields = FieldIndex(surveyed.pointers, surveyed.is_31, surveyed.heirs)
        self._compiler = Compiler(surveyed, self._fields)
        self._checkers: dict[tuple[str, SchemaDirection], Checker] = {}
        self._forms: dict[str, Form] = {}
        self._fitting: dict[tuple[str, SchemaDirection], Draft202012Validator | None] = {}
        self._deferred: Deferred | None = None
        if surveyed.size > MAX_TOGETHER:
            self._deferred = Deferred(surveyed, self._fields)
        elif surveyed.has_directions:
            for direction, places in roots.items():
                self._add(dict.fromkeys(places), [direction])
        else:
            self._add(dict.fromkeys(place for places in roots.values() for place in places), [*roots])

    def checker(self, place: str, direction: SchemaDirection) -> AnyChecker:
        """The checker of a root."""
        if self._deferred is None:
            return self._checkers[place, direction]
        return DeferredChecker(self._deferred, self._target(place), direction)

    def _target(self, place: str) -> str:
        """The place that a root refers to, so that roots share its checker."""
        node = self._pointers.at(place, place)
        while is_reference(node):
            place = self._pointers.target(node["$ref"], place)
            node = self._pointers.at(place, place)
        return place

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool:
        """Whether a value conforms to a schema that is no root, such as an alternative; it is compiled when
        it is first asked for. False if it cannot be.
        """
        if self._deferred is not None:
            return self._deferred.fits(place, direction, value)
        if (place, direction) not in self._fitting:
            self._fitting[place, direction] = self._compiler.alone(place, direction)
        validator = self._fitting[place, direction]
        return validator is not None and validator.is_valid({place: value})

    def form(self, place: str | None) -> Form:
        """The form of the schema at `place`; text if there is none."""
        if place is None:
            return TEXT
        if place not in self._forms:
            try:
                self._forms[place] = form_of(place, self._pointers, self._fields)
            except SpecError:
                self._forms[place] = TEXT
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
        limits = self._compiler.limits(places)
        for place in places:
            if place not in limits:
                self._refuse(place, directions, TOO_COSTLY)
        try:
            self._checkers |= self._compiler.checkers(limits, directions)
        except CannotCompile as error:
            for place in limits:
                self._refuse(place, directions, str(error))

    def _refuse(self, place: str, directions: Sequence[SchemaDirection], why: str) -> None:
        self._warn(f"{place}: {why}; it is not validated")
        for direction in directions:
            self._checkers[place, direction] = refused(place, direction, why)
