"""Names for the parameters of a template, after the word before them: /users/{userId}."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.analysis.rebuild.templates.model import ParameterType

_BREAK = re.compile(r"[^A-Za-z0-9]+")


def name_for(before: Sequence[str | None], kind: ParameterType, taken: frozenset[str]) -> str:
    """A free name. `before` are the segments before the parameter, None for a parameter."""
    word = next((segment for segment in reversed(before) if segment), "")
    ending = {ParameterType.DATE: "Date", ParameterType.EMAIL: "Email", ParameterType.STRING: "Name"}.get(
        kind, "Id"
    )
    stem = _camel(_singular(word))
    name = stem + ending if stem else ending.lower()
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}{number}", number + 1
    return unique


def _camel(word: str) -> str:
    parts = [part for part in _BREAK.split(word) if part]
    if not parts:
        return ""
    joined = parts[0] + "".join(part[0].upper() + part[1:] for part in parts[1:])
    joined = joined[0].lower() + joined[1:]
    return joined if joined[0].isalpha() else ""


def _singular(word: str) -> str:
    lower = word.lower()
    if lower.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if lower.endswith(("ses", "xes", "zes", "ches", "shes")) and len(word) > 4:
        return word[:-2]
    if lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word
