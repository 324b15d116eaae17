"""A deviation → the smallest change of the document under which the call that showed it would conform.

Changes are tried in order, narrow before wide: each is applied, the document read again and the sample
judged again. So what is proposed is proved, and what cannot be is not proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.amending.amend import OF_OPERATION
from server.analysis.specs.amending.loosen import changes_of_schema
from server.analysis.specs.amending.openapi import OpenApiWords
from server.analysis.specs.amending.patches import Change, Unfit, applied
from server.analysis.specs.amending.sample import Sample
from server.analysis.specs.amending.shadows import changes_of_shadow
from server.analysis.specs.amending.site import Site
from server.analysis.specs.amending.swagger import SwaggerWords
from server.analysis.specs.amending.words import Words
from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.judging.outcome import ITEM
from server.analysis.specs.model import Judgement, Operation, SpecError
from server.analysis.specs.schemas.validators import Parts


class Judging(Protocol):
    """A specification, as far as proposals need it."""

    @property
    def document(self) -> JsonObject: ...
    @property
    def base_paths(self) -> Sequence[str]: ...
    @property
    def operations(self) -> Sequence[Operation]: ...

    def parts(self, place: str) -> Parts: ...
    def match(self, record: Record) -> Judgement: ...


Understand = Callable[[JsonObject], Judging]
"""From a document to what it says. Raises SpecError."""

MAX_TRIED = 12  # changes, each of which reads the whole document


@dataclass(frozen=True, slots=True)
class Found:
    """A deviation as it is kept: `operation` is its key, of a shadow that of its provisional template."""

    operation: str
    kind: str
    where: str
    pointer: str


def proposal(
    found: Found, document: JsonObject, understand: Understand, record: Record | None
) -> tuple[Change, ...] | None:
    """The change, None where there is none. `record` is a call that shows the deviation; without one the
    first change that leaves a good document is taken. Raises SpecError where the document is none.
    """
    said = understand(document)
    for tried, changes in enumerate(filter(None, _candidates(found, document, said, record))):
        if tried == MAX_TRIED:
            break
        try:
            changed = understand(applied(document, changes))
        except (SpecError, Unfit):
            continue
        if record is None or _cures(said.match(record), changed.match(record), found):
            return changes
    return None


def _cures(before: Judgement, after: Judgement, found: Found) -> bool:
    """Whether the deviation is gone and no other has come in its place."""
    known = {(one.kind, one.where, one.pointer) for one in before.deviations}
    left = {(one.kind, one.where, one.pointer) for one in after.deviations}
    return left <= known and not shows(after, found)


def shows(judgement: Judgement, found: Found) -> bool:
    """Whether a judgement has this deviation."""
    return any(
        (one.kind, one.where, ITEM.sub("/*", one.pointer)) == (found.kind, found.where, found.pointer)
        or (one.kind, one.where, one.pointer) == (found.kind, found.where, found.pointer)
        for one in judgement.deviations
    )


def _candidates(
    found: Found, document: JsonObject, said: Judging, record: Record | None
) -> Iterator[tuple[Change, ...]]:
    operation = next((one for one in said.operations if one.key == found.operation), None)
    pointers = Pointers(document)
    words = _words(document, pointers)
    if operation is None:
        yield from changes_of_shadow(
            found.operation, found.kind, pointers, words, said.base_paths, said.operations
        )
        return
    site = Site(pointers, operation, Sample(record))
    amend = OF_OPERATION.get(found.kind)
    if amend is not None:
        yield from amend(site, words, found.where, found.pointer)
    else:
        yield from changes_of_schema(site, words, said.parts, found.kind, found.where, found.pointer)


def _words(document: JsonObject, pointers: Pointers) -> Words:
    if "swagger" in document:
        return SwaggerWords(pointers)
    return OpenApiWords(is_30=str(document.get("openapi", "")).startswith("3.0"))
