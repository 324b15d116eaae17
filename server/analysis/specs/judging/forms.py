"""Form bodies → the value for the schema: urlencoded pairs, and the parts of a multipart form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message

from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.media import essence, is_json
from server.analysis.specs.judging.json_reading import NotJson, json_value
from server.analysis.specs.judging.values import DELIMITERS, Unclear, items_of, object_of, scalar, text_of
from server.analysis.specs.model import Encoding
from server.analysis.specs.schemas.form import ANYTHING, Form

MAX_PARTS = 1_000
_PLAIN = Encoding(None, True)


class NotMultipart(ValueError):
    """The bytes are no valid multipart form."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form."""

    name: str
    data: bytes
    kind: str  # its media type, "" if it has none
    is_file: bool


def form_of_pairs(
    texts: Mapping[str, Sequence[bytes]], form: Form, encoding: Mapping[str, Encoding]
) -> JsonObject:
    """The object in an urlencoded form. Raises Unclear, UnreadableJson."""
    found: JsonObject = {}
    for name, sent in texts.items():
        base, bracket, rest = name.partition("[")
        if bracket and name not in form.fields:
            if (
                base not in form.fields
                or encoding.get(base, _PLAIN).style != "deepObject"
                or rest[-1:] != "]"
            ):
                raise Unclear
            deep = found.setdefault(base, {})
            inner = form.fields[base].fields.get(rest[:-1], ANYTHING)
            if not isinstance(deep, dict) or "[" in rest:
                raise Unclear
            deep |= object_of({rest[:-1]: sent}, Form(frozenset({"object"}), None, {rest[:-1]: inner}))
        else:
            found[name] = _field(sent, form.fields.get(name, ANYTHING), encoding.get(name, _PLAIN))
    return found


def _field(sent: Sequence[bytes], form: Form, encoding: Encoding) -> Json:
    if is_json(essence(encoding.content_type or "")) or (form.is_object and encoding.style is None):
        try:
            return json_value(text_of(sent[0]).encode())
        except NotJson:
            return text_of(sent[0])
    if form.is_object:
        raise Unclear
    if form.is_array or ("array" in form.types and len(sent) > 1):
        style = encoding.style or "form"
        if style not in DELIMITERS:
            raise Unclear
        apart = encoding.explode and style == "form"
        return items_of(sent if apart else [p for text in sent for p in DELIMITERS[style].split(text)], form)
    return scalar(text_of(sent[0]), form.types)


def parts(data: bytes, content_type: str) -> list[Part]:
    """The parts of multipart/form-data (RFC 7578). Raises NotMultipart; Unclear beyond MAX_PARTS."""
    message = Message()
    message["content-type"] = re.sub(r"[\r\n]", "", content_type)
    boundary = message.get_boundary("").encode("utf-8", "replace")
    if not boundary:
        raise NotMultipart
    pieces = (b"\r\n" + data).split(b"\r\n--" + boundary, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 2:
        raise Unclear
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise NotMultipart
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, blank, data = piece.partition(b"\r\n\r\n")
    if not blank:
        raise NotMultipart
    message = Message()
    for line in head.split(b"\r\n"):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name.lower() in ("content-disposition", "content-type"):
            message[name] = re.sub(r"[\r\n]", "", value.strip())
    called = message.get_param("name", header="content-disposition")
    if not isinstance(called, str):
        raise NotMultipart
    is_file = message.get_param("filename", header="content-disposition") is not None
    return Part(called, data, essence(str(message.get("content-type", ""))), is_file)


def form_of_parts(found: Sequence[Part], form: Form, encoding: Mapping[str, Encoding]) -> JsonObject:
    """The object in a multipart form. Raises Unclear, UnreadableJson."""
    named: dict[str, list[Part]] = {}
    for part in found:
        named.setdefault(part.name, []).append(part)
    value: JsonObject = {}
    for name, same in named.items():
        field = form.fields.get(name, ANYTHING)
        json = is_json(essence(encoding.get(name, _PLAIN).content_type or ""))
        if field.is_array or ("array" in field.types and len(same) > 1):
            items = field.items or ANYTHING
            value[name] = [_value(part, items, json) for part in same]
        else:
            value[name] = _value(same[0], field, json)
    return value


def _value(part: Part, form: Form, json: bool) -> Json:
    if not part.is_file and (json or is_json(part.kind) or (form.is_object and not part.kind)):
        try:
            return json_value(part.data)
        except NotJson:
            return part.data.decode("utf-8", "replace")
    if part.is_file or form.is_text:
        return part.data.decode("utf-8" if part.data.isascii() else "latin-1")
    if not form.types - {"array", "object"}:
        raise Unclear
    return scalar(part.data.decode("utf-8", "replace"), form.types)
