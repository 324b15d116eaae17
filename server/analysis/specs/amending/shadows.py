"""Changes that describe undocumented calls: a path, or another method of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import add
from server.analysis.specs.amending.site import item_of
from server.analysis.specs.amending.words import Changes, Words
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.kinds import Kind
from server.analysis.specs.model import Operation
from server.analysis.specs.routing.trie import Partial, parse_segment

SEEN = "Seen in traffic."
_NAME = re.compile(r"\{([^{}]*)\}")


def changes_of_shadow(
    identity: DeviationIdentity,
    pointers: Pointers,
    words: Words,
    bases: Sequence[str],
    operations: Sequence[Operation],
) -> Iterator[Changes]:
    """The changes for an undocumented call. Raises SpecError."""
    method, _, path = identity.operation.partition(" ")
    if method.lower() not in METHODS or not path.startswith("/"):
        return
    path = _below_base(path, bases)
    template = _template(path, operations) if identity.kind == Kind.UNKNOWN_METHOD else None
    if template is not None:
        place, _ = item_of(pointers, template)
        yield (add(place, method.lower(), _operation(template, words)),)
        return
    numbered = _numbered(path)
    yield (add("/paths", numbered, {method.lower(): _operation(numbered, words)}),)


def _below_base(path: str, bases: Sequence[str]) -> str:
    for base in sorted(bases, key=len, reverse=True):
        if path == base or path.startswith(base + "/") or not base:
            return path[len(base) :] or "/"
    return path


def _operation(template: str, words: Words) -> JsonObject:
    described: JsonObject = {"responses": {"default": {"description": SEEN}}}
    names: list[str] = _NAME.findall(template)
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, **words.text} for name in names
        ]
    return described


def _template(path: str, operations: Sequence[Operation]) -> str | None:
    """The template that already describes the path."""
    shape = _shape(path)
    same = next((one.template for one in operations if _shape(one.template) == shape), None)
    return same or next((one.template for one in operations if _fits(one.template, path)), None)


def _shape(template: str) -> list[str]:
    """A template's segments, without the names of its parameters."""
    try:
        segments = [parse_segment(segment) for segment in template.split("/")]
    except ValueError:
        return [template]
    return ["{}".join(one.literals) if isinstance(one, Partial) else one for one in segments]


def _fits(template: str, path: str) -> bool:
    """Whether a path from traffic fits a template."""
    parts, segments = template.split("/"), path.split("/")
    try:
        pairs = zip(map(parse_segment, parts), segments, strict=True)
        return all(
            one.values(segment) is not None if isinstance(one, Partial) else one == segment
            for one, segment in pairs
        )
    except ValueError:
        return False


def _numbered(template: str) -> str:
    """The template with distinct names: {id}, {id2}, …"""
    counts: dict[str, int] = {}

    def name(found: re.Match[str]) -> str:
        number = counts[found[1]] = counts.get(found[1], 0) + 1
        return f"{{{found[1]}{number if number > 1 else ''}}}"

    return _NAME.sub(name, template)
