"""Parameter texts → JSON values: styles (OpenAPI 3.1, 4.8.12.3) and the types a schema allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from server.analysis.json import Json, JsonObject
from server.analysis.specs.schemas.form import ANYTHING, Form

_INTEGER = re.compile(r"-?[0-9]{1,300}")
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}


class Unclear(Exception):
    """No style defines how to read this text, so it is not validated."""


def text_of(raw: bytes) -> str:
    """Percent-decoded; bytes that are not UTF-8 become U+FFFD."""
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8", "replace")


def scalar(text: str, types: Iterable[str]) -> Json:
    """The value of a text: of the narrowest allowed type that it can be read as, else the text."""
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
    "cookie": re.compile(rb","),
    "dotted": re.compile(rb"[.,]"),
    "tabDelimited": re.compile(rb"\t|%09"),
}


_COMMAS = ("form", "simple", "cookie")
_COMMA = re.compile(rb",|%2C", re.IGNORECASE)
"""Also encoded: many clients encode it, and many servers decode before they split, unlike RFC 6570, 3.2.1."""


def plain_readings(text: str, types: frozenset[str]) -> list[Json]:
    """The possible values of one text, without collections; the likeliest first."""
    narrow = scalar(text, types)
    if isinstance(narrow, str):
        return [text]
    return [narrow, text] if "string" in types else [narrow]


def readings(texts: Sequence[bytes], form: Form, style: str, explode: bool, name: str = "") -> list[Json]:
    """The possible values of a parameter's texts; the likeliest first. Raises Unclear."""
    if style in ("label", "matrix"):
        return _prefixed(texts[0], form, style, explode, name)
    delimiter = DELIMITERS[style]
    found: list[Json] = []
    if "array" in form.types:
        apart = explode and style in ("form", "cookie")
        parts = texts if apart else [part for text in texts for part in delimiter.split(text)]
        found.append(items_of(parts, form))
        if not apart and style in _COMMAS and any(_COMMA.search(text) for text in texts):
            found.append(items_of([part for text in texts for part in _COMMA.split(text)], form))
    if "object" in form.types:
        fields = dict(_fields(delimiter.split(texts[0]), explode))
        if fields:
            found.append(object_of({name: [text] for name, text in fields.items()}, form))
    if form.types - {"array", "object"} and (len(texts) == 1 or not found):
        found = plain_readings(text_of(texts[0]), form.types) + found
    return found


def _prefixed(text: bytes, form: Form, style: str, explode: bool, name: str) -> list[Json]:
    """The values of a path segment in the styles `.a.b` and `;name=a,b` (RFC 6570, 3.2.5 and 3.2.7)."""
    mark, own = (b".", b"") if style == "label" else (b";", name.encode())
    if not text.startswith(mark):
        return []
    text = text[1:]
    if own and (form.is_plain or not explode):
        key, _, text = text.partition(b"=")
        if key != own:
            return []
    if form.is_plain:
        return plain_readings(text_of(text), form.types)
    if not explode:
        return readings([text], form, "dotted" if style == "label" else "simple", False)
    parts = text.split(mark)
    if "array" not in form.types:
        return [object_of({name: [value] for name, value in _fields(parts, explode)}, form)]
    if own and not all(part.startswith(own + b"=") for part in parts):
        return []
    return [items_of([part[len(own) + 1 :] if own else part for part in parts], form)]


def _fields(parts: Sequence[bytes], explode: bool) -> Iterator[tuple[str, bytes]]:
    if explode:
        for part in parts:
            name, _, value = part.partition(b"=")
            yield text_of(name).strip(), value
    elif len(parts) % 2 == 0:
        for i in range(0, len(parts), 2):
            yield text_of(parts[i]).strip(), parts[i + 1]


def items_of(texts: Sequence[bytes], form: Form) -> list[Json]:
    """The items of an array. Raises Unclear if they are collections themselves."""
    items = form.items or ANYTHING
    if not items.types - {"array", "object"}:
        raise Unclear
    return [scalar(text_of(text).strip(" "), items.types) for text in texts]


def object_of(fields: Mapping[str, Sequence[bytes]], form: Form) -> JsonObject:
    """The object whose fields were sent in these texts. Raises Unclear for nested objects."""
    return {name: field_of(texts, form.fields.get(name, ANYTHING)) for name, texts in fields.items()}


def field_of(texts: Sequence[bytes], form: Form) -> Json:
    """A field's value: repeated texts are an array's items. Raises Unclear."""
    if form.is_object:
        raise Unclear
    if form.is_array or ("array" in form.types and len(texts) > 1):
        return items_of(texts, form)
    return scalar(text_of(texts[0]), form.types)
