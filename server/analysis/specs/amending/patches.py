"""JSON Patch (RFC 6902), with the operations that proposals use: add, replace and remove."""

from __future__ import annotations

from collections.abc import Sequence

from server.analysis.json import Json, JsonObject, text_in
from server.analysis.specs.document.pointers import tokens_of, under

Change = JsonObject
"""One operation: op, path, and value unless it removes."""


class Unfit(ValueError):
    """A patch does not fit the document."""


def add(place: str, key: str, value: Json) -> Change:
    """The change that adds a value at `key`; "-" is the end of an array."""
    return {"op": "add", "path": under(place, key), "value": value}


def replace(place: str, key: str, value: Json) -> Change:
    return {"op": "replace", "path": under(place, key), "value": value}


def remove(place: str, key: str) -> Change:
    return {"op": "remove", "path": under(place, key)}


def applied(document: JsonObject, changes: Sequence[Change]) -> JsonObject:
    """The document after all changes; changed parts are copied, the rest is shared. Raises Unfit."""
    for change in changes:
        changed = _at(document, tokens_of(_path(change)), change)
        if not isinstance(changed, dict):
            raise Unfit(_path(change))
        document = changed
    return document


def _path(change: Change) -> str:
    return text_in(change, "path") or ""


def _at(node: Json, tokens: Sequence[str], change: Change) -> Json:
    if not tokens:
        return change["value"]
    token, *rest = tokens
    if isinstance(node, dict):
        return _in_object(dict(node), token, rest, change)
    if isinstance(node, list):
        return _in_array(list(node), token, rest, change)
    raise Unfit(_path(change))


def _in_object(node: JsonObject, token: str, rest: Sequence[str], change: Change) -> Json:
    if token not in node and (rest or change["op"] != "add"):
        raise Unfit(_path(change))
    if not rest and change["op"] == "remove":
        del node[token]
    else:
        node[token] = _at(node.get(token), rest, change)
    return node


def _in_array(node: list[Json], token: str, rest: Sequence[str], change: Change) -> Json:
    end = token == "-" and not rest and change["op"] == "add"
    if not end and not (token.isdecimal() and len(token) < 9 and int(token) < len(node)):
        raise Unfit(_path(change))
    index = len(node) if end else int(token)
    if rest or change["op"] == "replace":
        node[index] = _at(node[index], rest, change)
    elif change["op"] == "add":
        node.insert(index, change["value"])
    else:
        del node[index]
    return node
