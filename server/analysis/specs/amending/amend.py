"""Changes of a document under which a kind of deviation would conform, narrow ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from server.analysis.json import Json, array_in, object_in
from server.analysis.specs.amending.patches import add, remove, replace
from server.analysis.specs.amending.shadows import SEEN
from server.analysis.specs.amending.site import Site
from server.analysis.specs.amending.words import Changes, Words
from server.analysis.specs.document.pointers import under
from server.analysis.specs.kinds import Kind, Where

_Amend = Callable[[Site, Words, str, str], Iterator[Changes]]
"""Changes of an operation's own keywords, for a deviation at (where, pointer)."""


def _status(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    yield (add(under(site.place, "responses"), pointer, {"description": SEEN}),)


def _parameter(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    yield (site.with_parameter({"name": pointer, "in": "query", **words.anything}),)


def _header(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    if where == Where.HEADER:
        yield (site.with_parameter({"name": pointer, "in": "header", **words.anything}),)
        return
    place, response = site.response()
    if "headers" in response:
        yield (add(under(place, "headers"), pointer, words.anything),)
    else:
        yield (add(place, "headers", {pointer: words.anything}),)


def _body(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    yield words.body(site)


def _content_type(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    yield words.content_type(site, where)


def _missing_body(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    yield words.optional_body(site) if where == Where.REQUEST_BODY else words.no_response_body(site)


def _missing_header(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    place, response = site.response()
    headers = object_in(response, "headers")
    said = next((one for one in headers if one.lower() == pointer), pointer)
    yield (remove(under(place, "headers", said), "required"),)


def _missing_parameter(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    for place, node in site.parameters():
        same = node.get("in") == where and str(node.get("name", "")).lower() == pointer.lower()
        if same and node.get("required"):
            yield (replace(place, "required", False),)


def _security(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    owner = site.node if "security" in site.node else site.pointers.document
    known: list[Json] = [*array_in(owner, "security"), {}]
    yield (add(site.place, "security", known),)


def _nothing(site: Site, words: Words, where: str, pointer: str) -> Iterator[Changes]:
    """No changes: an unreadable body or parameter conforms to no document; what an undescribed answer or
    credential means, one call does not show.
    """
    yield from ()


OF_OPERATION: Mapping[str, _Amend] = {
    Kind.UNKNOWN_STATUS: _status,
    Kind.UNKNOWN_PARAMETER: _parameter,
    Kind.UNKNOWN_HEADER: _header,
    Kind.UNKNOWN_BODY: _body,
    Kind.UNKNOWN_CONTENT_TYPE: _content_type,
    Kind.MISSING_PARAMETER: _missing_parameter,
    Kind.MISSING_HEADER: _missing_header,
    Kind.MISSING_BODY: _missing_body,
    Kind.SECURITY_UNMET: _security,
    Kind.UNKNOWN_ANSWER: _nothing,
    Kind.UNKNOWN_CREDENTIALS: _nothing,
    Kind.MALFORMED_BODY: _nothing,
    Kind.MALFORMED_PARAMETER: _nothing,
}
"""Kinds decided by an operation's own keywords. All others concern a schema, or a path."""
