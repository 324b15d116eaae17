"""What a specification says of an operation, or at the place of a deviation: parts of the document as it was
uploaded, with the part in question marked. References are left as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.wire import Record
from server.analysis.json import Json, JsonObject, object_in
from server.analysis.specs.amending.loosen import reach
from server.analysis.specs.amending.propose import Judging
from server.analysis.specs.amending.sample import Sample
from server.analysis.specs.amending.site import Site
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.pointers import Pointers, is_reference, tokens_of
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import SpecError

MAX_PARTS = 6  # schemas that apply at one place
BODIES = frozenset({Where.REQUEST_BODY, Where.RESPONSE_BODY})
SENT = frozenset({Where.QUERY, Where.HEADER, Where.COOKIE, Where.PATH})
KEYWORD: Mapping[str, str] = {
    Kind.MISSING_FIELD: "required",
    Kind.FORBIDDEN_FIELD: "additionalProperties",
    Kind.UNKNOWN_FIELD: "properties",
    Kind.UNKNOWN_STATUS: "responses",
    Kind.SECURITY_UNMET: "security",
    Kind.UNKNOWN_CREDENTIALS: "security",
}
"""The keyword that a kind is about, where the part has no entry for the place itself."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a document at a JSON pointer. `marked` are the keys that lead to what is in question within
    it; none if that is all of it, or nothing.
    """

    place: str
    node: Json
    marked: Sequence[str] = ()


def of_operation(specification: Judging, key: str) -> Excerpt | None:
    """The description of an operation; None if there is none."""
    site = _site(specification, key, None)
    return None if site is None else Excerpt(site.place, site.node)


def of_deviation(
    specification: Judging, identity: DeviationIdentity, record: Record | None
) -> Sequence[Excerpt]:
    """The parts that a deviation is from; none if the operation is not described. `record` is a call with
    it: without one, any answer may be meant.
    """
    site = _site(specification, identity.operation, record)
    if site is None:
        return []
    try:
        if identity.where in BODIES:
            found = [*_schemas(site, specification, identity)]
        else:
            found = [*_described(site, identity)]
    except SpecError:
        found = []
    telling = [one for one in found if one.marked] or found
    return telling[:MAX_PARTS] or [_operation(site, identity)]


def _site(specification: Judging, key: str, record: Record | None) -> Site | None:
    operation = next((one for one in specification.operations if one.key == key), None)
    if operation is None:
        return None
    try:
        return Site(Pointers(specification.document), operation, Sample(record))
    except SpecError:  # the operation was read from a rewritten document
        return None


def _schemas(site: Site, specification: Judging, identity: DeviationIdentity) -> Iterator[Excerpt]:
    """The schemas of the object or array that the place is in."""
    tokens = tokens_of(identity.place)
    above, last = tokens[:-1], tokens[-1:]
    for root in site.schemas(identity.where, identity.place):
        for place, part in reach(root, above, specification.parts).items():
            if not is_reference(part):
                yield Excerpt(place, part, _marked(part, last, identity.kind))


def _marked(part: JsonObject, last: Sequence[str], kind: str) -> Sequence[str]:
    for name in last:
        if name in object_in(part, "properties"):
            return ["properties", name]
        if name == "*" and "items" in part:
            return ["items"]
    keyword = "type" if not last else KEYWORD.get(kind)
    return [keyword] if keyword in part else []


def _described(site: Site, identity: DeviationIdentity) -> Iterator[Excerpt]:
    """The parameter or header that the place names."""
    wanted = identity.place.lower()
    if identity.where == Where.RESPONSE_HEADER:
        place, answer = site.response()
        for name in object_in(answer, "headers"):
            if name.lower() == wanted:
                yield Excerpt(place, answer, ["headers", name])
        return
    for place, node in site.parameters():
        if str(node.get("name")).lower() == wanted and node.get("in") == identity.where:
            yield Excerpt(place, node)


def _operation(site: Site, identity: DeviationIdentity) -> Excerpt:
    keyword = KEYWORD.get(identity.kind, "parameters" if identity.where in SENT else "responses")
    return Excerpt(site.place, site.node, [keyword] if keyword in site.node else [])
