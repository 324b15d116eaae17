"""Whether anybody uses what a proposed document changes in a way that breaks clients."""

from __future__ import annotations

import re
from collections.abc import Collection

from server.analysis.json import JsonObject, object_in
from server.analysis.rebuild.versions import diff
from server.analysis.specs.kinds import Where
from server.analysis.tryout.documents import TriedChange
from server.analysis.tryout.tryout import Difference
from server.analysis.tryout.written_out import written_out

_NAMES = re.compile(r"\{[^{}]*\}")
_ROUTES = frozenset({"unknown-path", "unknown-method"})
_RESPONSES = frozenset({Where.STATUS, Where.RESPONSE_BODY, Where.RESPONSE_HEADER})


def breaking_changes(
    present: JsonObject,
    proposed: JsonObject,
    broken: Collection[Difference],
    bases: tuple[str, str] = ("", ""),
) -> list[TriedChange]:
    """The breaking changes between two documents, used ones first. `bases` are their base paths if these
    differ, so that every operation of the present one is gone. Raises SpecError.
    """
    found: list[TriedChange] = [
        {
            "operation": one.operation,
            "part": one.part,
            "what": one.what,
            "used": any(_is_at(difference, one.operation, one.part) for difference in broken),
        }
        for one in diff(_below(bases[0], written_out(present)), _below(bases[1], written_out(proposed)))
        if one.breaking
    ]
    return sorted(found, key=lambda one: (not one["used"], one["operation"], one["part"]))


def _below(base: str, document: JsonObject) -> JsonObject:
    paths = object_in(document, "paths")
    return {**document, "paths": {base + path: item for path, item in paths.items()}}


def _is_at(difference: Difference, operation: str, part: str) -> bool:
    method, _, path = operation.partition(" ")
    called, _, template = difference.operation.partition(" ")
    if method != called or not _NAMES.sub("{}", template).endswith(
        path
    ):  # templates begin with the base path
        return False
    return difference.kind in _ROUTES if part == "" else _is_in(difference, part)


def _is_in(difference: Difference, part: str) -> bool:
    first, _, name = part.partition(" ")
    if first == "response":
        return difference.where in _RESPONSES
    if first == "path":
        return difference.where == Where.PATH
    if first == "header":
        name = name.lower()  # as places of headers are written
    if first in ("query", "header", "cookie"):
        return difference.where == first and difference.place.lstrip("/").startswith(name)
    return difference.where == first
