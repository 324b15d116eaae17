"""Names for the parameters of a template, after the word before them: /users/{userId}."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.analysis.rebuild.singular import singular
from server.analysis.rebuild.templates.model import ParameterType

_SAYS_NOTHING = re.compile(r"apis?|rest|v\d+(\.\d+)*((alpha|beta|rc)\d*)?", re.IGNORECASE)
_IS_NAME = re.compile(
    r"(.*[a-z])?(Id|Ids|Name|Date|Email|Uuid|Key)|id|uuid|guid|date|name|email|key|slug|code", re.ASCII
)
_BREAK = re.compile(r"[^A-Za-z0-9]+")


def name_for(before: Sequence[str | None], kind: ParameterType, example: str, taken: frozenset[str]) -> str:
    """A free name. `before` are the segments before the parameter, None for a parameter; `example` is one of
    its values.
    """
    words = [segment for segment in before if segment and not _SAYS_NOTHING.fullmatch(segment)]
    name = _named(_camel(singular(words[-1])) if words else "", _ending(kind, example))
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}{number}", number + 1
    return unique


def _ending(kind: ParameterType, example: str) -> str:
    """What the values are: names that people choose seldom have digits, and keys mostly do."""
    if kind is ParameterType.STRING:
        return "Id" if any(map(str.isdigit, example)) else "Name"
    return {ParameterType.DATE: "Date", ParameterType.EMAIL: "Email"}.get(kind, "Id")


def _named(stem: str, ending: str) -> str:
    """The name of a thing's key: "orderId"; a word that is such a name already stays: "date", "uuid"."""
    if not stem or stem.lower() == ending.lower():
        return ending.lower()
    return stem if _IS_NAME.fullmatch(stem) else stem + ending


def _camel(word: str) -> str:
    parts = [part for part in _BREAK.split(word) if part]
    if not parts:
        return ""
    joined = parts[0] + "".join(part[0].upper() + part[1:] for part in parts[1:])
    joined = joined[0].lower() + joined[1:]
    return joined if joined[0].isalpha() else ""
