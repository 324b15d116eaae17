"""A deviation → the smallest change of the document under which the call with it would conform.

Changes are tried in order, narrow ones first: each is applied, the document read again and the sample
validated again. So each proposal is proved, and an unproved one is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.judging.judged import Matching
from server.analysis.specs.model import Judgement, Operation, SpecError
from server.analysis.specs.schemas.validators import Parts


class Judging(Matching, Protocol):
    """The interface of a specification that proposals need."""

    @property
    def document(self) -> JsonObject: ...
    @property
    def base_paths(self) -> Sequence[str]: ...
    @property
    def operations(self) -> Sequence[Operation]: ...

    def parts(self, place: str) -> Parts: ...


Understand = Callable[[JsonObject], Judging]
"""A function from a document to its specification. Raises SpecError."""

MAX_TRIED = 12  # changes; each try reads the whole document


def proposal(
    identity: DeviationIdentity, document: JsonObject, understand: Understand, record: Record | None
) -> tuple[Change, ...] | None:
    """The change, None if there is none. `record` is a call with the deviation; without one, the result is
    the first change that leaves a valid document. Raises SpecError if the document is invalid.
    """
    said = understand(document)
    for tried, changes in enumerate(filter(None, _candidates(identity, document, said, record))):
        if tried == MAX_TRIED:
            break
        try:
            changed = understand(applied(document, changes))
        except (SpecError, Unfit):
            continue
        if record is None or _cures(said.match(record), changed.match(record), identity):
            return changes
    return None


def _cures(before: Judgement, after: Judgement, identity: DeviationIdentity) -> bool:
    """Whether the deviation is gone and no other has appeared."""
    known = {(one.kind, one.where, one.pointer) for one in before.deviations}
    left = {(one.kind, one.where, one.pointer) for one in after.deviations}
    return left <= known and not shows(after, identity)


def shows(judgement: Judgement, identity: DeviationIdentity) -> bool:
    """Whether a judgement contains this deviation."""
    return any(one.is_of(identity) for one in judgement.deviations)


def _candidates(
    identity: DeviationIdentity, document: JsonObject, said: Judging, record: Record | None
) -> Iterator[tuple[Change, ...]]:
    operation = next((one for one in said.operations if one.key == identity.operation), None)
    pointers = Pointers(document)
    words = _words(document, pointers)
    if operation is None:
        yield from changes_of_shadow(identity, pointers, words, said.base_paths, said.operations)
        return
    site = Site(pointers, operation, Sample(record))
    amend = OF_OPERATION.get(identity.kind)
    if amend is not None:
        yield from amend(site, words, identity.where, identity.place)
    else:
        yield from changes_of_schema(site, words, said.parts, identity)


def _words(document: JsonObject, pointers: Pointers) -> Words:
    if "swagger" in document:
        return SwaggerWords(pointers)
    return OpenApiWords(is_30=str(document.get("openapi", "")).startswith("3.0"))
