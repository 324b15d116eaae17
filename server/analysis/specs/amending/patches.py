"""JSON Patch (RFC 6902): the part that proposals are written in: add, replace and remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Change = dict[str, Any]
"""One operation: op, path, and value unless it removes."""


class Unfit(ValueError):
    """A patch does not fit the document."""


def applied(document: Any, changes: Sequence[Change]) -> Any:
    """The document after all changes; what they touch is copied, the rest is shared. Raises Unfit."""
    for change in changes:
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in change["path"].split("/")[1:]]
        document = _at(document, tokens, change)
    return document


def _at(node: Any, tokens: Sequence[str], change: Change) -> Any:
    if not tokens:
        return change["value"]
    token, *rest = tokens
    copy = dict(node) if isinstance(node, dict) else list(node) if isinstance(node, list) else None
    if isinstance(copy, dict):
        _in_object(copy, token, rest, change)
    elif isinstance(copy, list):
        _in_array(copy, token, rest, change)
    else:
        raise Unfit(change["path"])
    return copy


def _in_object(node: dict[str, Any], token: str, rest: Sequence[str], change: Change) -> None:
    if token not in node and (rest or change["op"] != "add"):
        raise Unfit(change["path"])
    if not rest and change["op"] == "remove":
        del node[token]
    else:
        node[token] = _at(node.get(token), rest, change)


def _in_array(node: list[Any], token: str, rest: Sequence[str], change: Change) -> None:
    end = token == "-" and not rest and change["op"] == "add"
    if not end and not (token.isdecimal() and len(token) < 9 and int(token) < len(node)):
        raise Unfit(change["path"])
    index = len(node) if end else int(token)
    if rest or change["op"] == "replace":
        node[index] = _at(node[index], rest, change)
    elif change["op"] == "add":
        node.insert(index, change["value"])
    else:
        del node[index]
