"""The checkers of a large document: each schema is compiled when a value for it is first met, for the words
that its values had so far, and kept as long as there is room.

Of a document in which every schema reaches all others, that is milliseconds instead of a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from jsonschema_rs import Draft202012Validator

from server.analysis.json import Json, is_deeper
from server.analysis.specs.schemas.checker import Checker
from server.analysis.specs.schemas.compiler import TOO_COSTLY, CannotCompile, Compiler, refused
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.cost import MAX_BODY_DEPTH, CostLimits
from server.analysis.specs.schemas.fields import FieldIndex
from server.analysis.specs.schemas.survey import SchemaSurvey
from server.analysis.specs.schemas.words import words_of

MAX_KEPT = 100_000  # compiled schemas, of 1 KB each, that a document keeps; the longest unused are dropped
MAX_GROWTHS = 200  # how often one schema is compiled again for values with further words
TOO_DEEP = "it nests too deeply, or has values that cannot be read, to be validated"
_TOO_MANY = "its values have had too many different fields to compile the schema again"

_ANY = CostLimits(MAX_BODY_DEPTH, 0)
Compiled = TypeVar("Compiled", Checker, Draft202012Validator | None)


@dataclass(slots=True)
class _Kept(Generic[Compiled]):
    """A schema compiled for values of these words; `size` in schemas."""

    compiled: Compiled
    words: frozenset[str]
    size: int
    growths: int


class Deferred:
    """Compiles schemas of one document as values need them."""

    def __init__(self, surveyed: SchemaSurvey, fields: FieldIndex) -> None:
        self._surveyed, self._fields = surveyed, fields
        self._checkers: dict[tuple[str, SchemaDirection], _Kept[Checker]] = {}
        self._fitting: dict[tuple[str, SchemaDirection], _Kept[Draft202012Validator | None]] = {}

    def checker(self, place: str, direction: SchemaDirection, value: Json) -> Checker:
        """The checker of a schema, compiled for this value's words at least."""
        key, words = (place, direction), self._words(value)
        kept = self._checkers.pop(key, None)
        if kept is None or not words <= kept.words:
            known, growths = (kept.words, kept.growths) if kept else (frozenset[str](), 0)
            if growths > MAX_GROWTHS and kept is not None:
                self._checkers[key] = kept
                return refused(place, direction, _TOO_MANY)
            kept = self._compiled(place, direction, words | known, growths + 1)
            _make_room(self._checkers, kept.size)
        self._checkers[key] = kept
        return kept.compiled

    def fits(self, place: str, direction: SchemaDirection, value: Json) -> bool:
        """Whether a value conforms; false if the schema cannot be compiled."""
        key, words = (place, direction), self._words(value)
        kept = self._fitting.pop(key, None)
        if kept is None or not words <= kept.words:
            words |= kept.words if kept else frozenset()
            compiler = Compiler(self._surveyed, self._fields, words)
            validator = compiler.alone(place, direction)
            kept = _Kept(validator, words, compiler.size, 0)
            _make_room(self._fitting, kept.size)
        self._fitting[key] = kept
        return kept.compiled is not None and kept.compiled.is_valid({place: value})

    def _words(self, value: Json) -> frozenset[str]:
        """The words of a value that matter in this document."""
        return frozenset(words_of(value) & self._surveyed.words)

    def _compiled(
        self, place: str, direction: SchemaDirection, words: frozenset[str], growths: int
    ) -> _Kept[Checker]:
        compiler = Compiler(self._surveyed, self._fields, words)
        try:
            limits = compiler.limits([place])
            if not limits:
                raise CannotCompile(TOO_COSTLY)
            checker = compiler.checkers(limits, [direction])[place, direction]
        except CannotCompile as error:
            checker = refused(place, direction, str(error))
        return _Kept(checker, words, compiler.size, growths)


def _make_room(kept: dict[tuple[str, SchemaDirection], _Kept[Compiled]], size: int) -> None:
    """Drops what was not used for longest."""
    size += sum(one.size for one in kept.values())
    for key in [*kept]:
        if size <= MAX_KEPT:
            return
        size -= kept.pop(key).size


@dataclass(frozen=True, slots=True)
class DeferredChecker:
    """Stands for a checker that depends on the words of the value, see `Checker`."""

    deferred: Deferred
    place: str
    direction: SchemaDirection
    why: None = None
    limits: CostLimits = _ANY

    def too_much(self, size: int) -> bool:
        """Never: it is known for a value only."""
        return False

    def for_value(self, value: Json) -> Checker:
        """The checker to use for a value."""
        checker = self.deferred.checker(self.place, self.direction, value)
        depth = checker.limits.depth
        if checker.why is None and depth < MAX_BODY_DEPTH and is_deeper(value, depth):
            return replace(checker, why=TOO_DEEP)
        return checker


AnyChecker = Checker | DeferredChecker
