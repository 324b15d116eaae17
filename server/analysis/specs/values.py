"""Parameter texts → JSON values: styles (OpenAPI 3.1, 4.8.12.3) and the types a schema allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from server.analysis.specs.fields import FieldIndex
from server.analysis.specs.pointers import Pointers, under
from server.analysis.specs.survey import TYPES

_INTEGER = re.compile(r"-?[0-9]{1,300}")
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}
_TYPE_OF = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Form:
    """What a schema lets a text stand for: `items` and `fields` of the values within."""

    types: frozenset[str]
    items: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] | None = None
    other_fields: bool = True  # fields that are not named may occur

    @property
    def is_object(self) -> bool:
        """Whether an object is meant, as opposed to anything at all."""
        return "object" in self.types and self.types <= {"object", "null"}

    @property
    def outlives_masks(self) -> bool:
        """Whether a masked text still shows its type: collections and true or false become plain text."""
        return self.types == TYPES or not self.types & {"array", "object", "boolean"}

    @property
    def is_plain(self) -> bool:
        """Whether no text stands for a collection."""
        return not self.types & {"array", "object"}


TEXT = Form(frozenset({"string"}))


def form_of(place: str, pointers: Pointers, fields: FieldIndex) -> Form:
    """The form of the schema at `place`."""
    named: dict[str, set[str]] = {}
    items: set[str] = set()
    node = pointers.at(place, place)
    for part, at in fields.closure(node, place):
        for name in part.get("properties", ()):
            named.setdefault(name, set()).update(_types(under(at, "properties", name), pointers, fields))
        if "items" in part:
            items |= _types(under(at, "items"), pointers, fields)
    return Form(
        frozenset(_types(place, pointers, fields)),
        frozenset(items),
        {name: frozenset(types) for name, types in named.items()},
        fields.of(node, place).open or not named,
    )


def _types(place: str, pointers: Pointers, fields: FieldIndex) -> set[str]:
    """Types that may occur; all of them where nothing is said."""
    found: set[str] = set()
    for part, _ in fields.closure(pointers.at(place, place), place):
        said = part.get("type", ())
        found |= {said} if isinstance(said, str) else set(said)
        known = part.get("enum", []) + ([part["const"]] if "const" in part else [])
        if "type" not in part:
            found |= {_TYPE_OF.get(type(value), "null") for value in known}
        if part.get("nullable") is True:
            found.add("null")
    return found or set(TYPES)


def text_of(raw: bytes) -> str:
    """Percent-decoded; what is not UTF-8 becomes U+FFFD."""
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8", "replace")


def scalar(text: str, types: Iterable[str]) -> Any:
    """The value a text stands for: the narrowest allowed type it can be read as, else the text."""
    if "integer" in types or "number" in types:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text):
            return float(text)
    if "boolean" in types and text in _WORDS:
        return _WORDS[text]
    if "null" in types and text in ("", "null") and not ("string" in types and text == ""):
        return None
    return text


DELIMITERS = {
    "form": re.compile(rb","),
    "simple": re.compile(rb","),
    "spaceDelimited": re.compile(rb"%20| "),
    "pipeDelimited": re.compile(rb"\||%7[Cc]"),
    "tabDelimited": re.compile(rb"\t|%09"),
}


def plain_readings(text: str, types: frozenset[str]) -> list[Any]:
    """The values one text may stand for, none of them a collection; the likeliest first."""
    narrow = scalar(text, types)
    if isinstance(narrow, str):
        return [text]
    return [narrow, text] if "string" in types else [narrow]


def readings(texts: Sequence[bytes], form: Form, style: str, explode: bool) -> list[Any]:
    """The values that a parameter's texts may stand for; the likeliest first."""
    delimiter = DELIMITERS[style]
    found: list[Any] = []
    if "array" in form.types:
        apart = style == "form" and explode
        parts = texts if apart else [part for text in texts for part in delimiter.split(text)]
        found.append([scalar(text_of(part).strip(" "), form.items) for part in parts])
    if "object" in form.types:
        fields = dict(_fields(delimiter.split(texts[0]), explode))
        if fields:
            found.append(object_of(fields, form))
    if form.types - {"array", "object"} and (len(texts) == 1 or not found):
        found = plain_readings(text_of(texts[0]), form.types) + found
    return found


def _fields(parts: Sequence[bytes], explode: bool) -> Iterator[tuple[str, bytes]]:
    if explode:
        for part in parts:
            name, _, value = part.partition(b"=")
            yield text_of(name).strip(), value
    elif len(parts) % 2 == 0:
        for i in range(0, len(parts), 2):
            yield text_of(parts[i]).strip(), parts[i + 1]


def object_of(fields: Mapping[str, bytes], form: Form) -> dict[str, Any]:
    named = form.fields or {}
    return {name: scalar(text_of(value), named.get(name, TYPES)) for name, value in fields.items()}
