"""The checkers of a large document: each schema is compiled when a value for it is first met, for the words
that its values had so far, and kept as long as there is room.

Of a document in which every schema reaches all others, that is milliseconds instead of a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A schema compiled for values of these words; `size` in schemas. `refusals`: words for which it cannot
    be compiled, also among others, and why.
    """

    compiled: Checker | None
    words: frozenset[str] = frozenset()
    size: int = 0
    growths: int = 0
    refusals: Mapping[frozenset[str], str] = field(default_factory=dict)

    def serves(self, words: frozenset[str]) -> bool:
        """Whether it is compiled for values of these words."""
        return self.compiled is not None and words <= self.words

    def refusal(self, words: frozenset[str]) -> str | None:
        """Why it is not compiled for these words, too."""
        known = next((why for refused, why in self.refusals.items() if refused <= words), None)
        return _TOO_MANY if known is None and self.growths > MAX_GROWTHS else known


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A schema compiled to say whether values of these words conform; None if it cannot be."""

    compiled: Draft202012Validator | None
    words: frozenset[str]
    size: int


_NOTHING = _Kept(None)
Entry = TypeVar("Entry", _Kept, _Fitting)


class Deferred:
    """Compiles schemas of one document as values need them."""

    def __init__(self, surveyed: SchemaSurvey, fields: FieldIndex) -> None:
        self._surveyed, self._fields = surveyed, fields
        self._checkers: dict[tuple[str, SchemaDirection], _Kept] = {}
        self._fitting: dict[tuple[str, SchemaDirection], _Fitting] = {}

    def checker(self, place: str, direction: SchemaDirection, value: Json) -> Checker:
        """The checker of a schema, compiled for this value's words at least."""
        key, words = (place, direction), self._words(value)
        kept = self._checkers.pop(key, _NOTHING)
        if not kept.serves(words) and kept.refusal(words) is None:
            kept = self._grown(place, direction, words, kept)
            _make_room(self._checkers, kept.size)
        self._checkers[key] = kept
        if kept.compiled is not None and kept.serves(words):
            return kept.compiled
        return refused(place, direction, kept.refusal(words) or _TOO_MANY)

    def fits(self, place: str, direction: SchemaDirection, value: Json) -> bool:
        """Whether a value conforms; false if the schema cannot be compiled."""
        key, words = (place, direction), self._words(value)
        kept = self._fitting.pop(key, None)
        if kept is None or not words <= kept.words:
            words |= kept.words if kept else frozenset()
            compiler = Compiler(self._surveyed, self._fields, words)
            validator = compiler.alone(place, direction)
            kept = _Fitting(validator, words, compiler.size)
            _make_room(self._fitting, kept.size)
        self._fitting[key] = kept
        return kept.compiled is not None and kept.compiled.is_valid({place: value})

    def _words(self, value: Json) -> frozenset[str]:
        """The words of a value that matter in this document."""
        return frozenset(words_of(value) & self._surveyed.words)

    def _grown(self, place: str, direction: SchemaDirection, words: frozenset[str], kept: _Kept) -> _Kept:
        """Compiled for these words beside the known ones, else for them alone, else refused for them."""
        why, growths = "", kept.growths + 1
        for wanted in dict.fromkeys((words | kept.words, words)):
            compiler = Compiler(self._surveyed, self._fields, wanted)
            try:
                checker = _compiled(compiler, place, direction)
            except CannotCompile as error:
                why = str(error)
            else:
                return _Kept(checker, wanted, compiler.size, growths, kept.refusals)
        return replace(kept, growths=growths, refusals={**kept.refusals, words: why})


def _compiled(compiler: Compiler, place: str, direction: SchemaDirection) -> Checker:
    """Raises CannotCompile."""
    limits = compiler.limits([place])
    if not limits:
        raise CannotCompile(TOO_COSTLY)
    return compiler.checkers(limits, [direction])[place, direction]


def _make_room(kept: dict[tuple[str, SchemaDirection], Entry], size: int) -> None:
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
