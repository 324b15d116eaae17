"""Named values sent → parameters with their styles, form fields, and response headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.analysis.json import JsonObject
from server.analysis.rebuild.answers import StatusAnswers
from server.analysis.rebuild.header_names import is_own_cookie
from server.analysis.rebuild.operation import LearntOperation, Security
from server.analysis.rebuild.sent import COMMAS
from server.analysis.rebuild.shapes.model import ObjectField, Shape, Variant
from server.analysis.rebuild.shapes.render import Style, evidence, schema
from server.analysis.rebuild.shapes.variants import is_map, merged, together

ENOUGH_FOR_QUERY = 10  # calls, all with the query parameter, before it is required
ENOUGH_FOR_HEADER = 50  # the same for headers and cookies, which a client's library may add
COMMON = 0.5  # share of a status's responses with a header, for the header to be described
LISTED = 0.3  # share of a parameter's values with commas, for them to mean a list
REST = "others"  # the parameter that stands for arbitrary names


@dataclass(frozen=True, slots=True)
class SentName:
    """The values sent under one name: single ones, and comma-separated lists."""

    plain: ObjectField | None
    listed: ObjectField | None

    @property
    def count(self) -> int:
        return sum(field.count for field in (self.plain, self.listed) if field)

    def evidence(self) -> JsonObject:
        fields = [field for field in (self.plain, self.listed) if field]
        return evidence(self.count, min(f.first for f in fields), max(f.last for f in fields))


@dataclass(frozen=True, slots=True)
class SentNames:
    """The names sent in one part of a request, over `calls`; `free` if names are arbitrary."""

    named: dict[str, SentName]
    calls: int
    free: bool


def sent_of(shape: Shape) -> SentNames:
    """The names sent, from a shape that has learned from objects of names and texts."""
    objects = shape.objects
    if objects is None:
        return SentNames({}, shape.count, shape.unknown > 0)
    objects.flush()
    variant = together(objects.variants) if objects.variants else Variant()
    free = objects.open or objects.others is not None or is_map(variant, None)
    names = sorted({key.removesuffix(COMMAS) for key in variant.fields})
    fields = variant.fields
    named = {name: SentName(fields.get(name), fields.get(name + COMMAS)) for name in names}
    return SentNames({} if is_map(variant, None) else named, objects.count, free)


def parameters(operation: LearntOperation, schemes: set[Security], style: Style) -> Iterator[JsonObject]:
    """Parameters in query, header and cookie; those with credentials are described in `security`."""
    wire = replace(style, wire=True)
    parts = (
        ("query", operation.query, ENOUGH_FOR_QUERY),
        ("header", operation.headers, ENOUGH_FOR_HEADER),
        ("cookie", operation.cookies, ENOUGH_FOR_HEADER),
    )
    for where, shape, enough in parts:
        secret = {name for _, place, name, _ in schemes if place == where}
        sent = sent_of(shape)
        for name, named in sent.named.items():
            if name.lower() in {one.lower() for one in secret} or not _is_parameter(where, name):
                continue
            yield _parameter(where, name, named, sent, enough, wire)
        if sent.free and where == "query":
            rest: JsonObject = {"type": "object", "additionalProperties": {"type": "string"}}
            yield {"name": REST, "in": "query", "style": "form", "explode": True, "schema": rest}


def _is_parameter(where: str, name: str) -> bool:
    if where == "cookie" and not is_own_cookie(name):
        return False
    return where == "query" or _is_plain(name)


def _is_plain(name: str) -> bool:
    """Whether a name is valid in a header or cookie by RFC 9110; the network may send any."""
    return name.isascii() and name.isprintable() and not set(name) & set(' ()<>@,;:\\"/[]?={}')


def _parameter(
    where: str, name: str, named: SentName, sent: SentNames, enough: int, style: Style
) -> JsonObject:
    found: JsonObject = {"name": name, "in": where}
    if named.count == sent.calls >= enough:
        found["required"] = True
    plain = named.plain.shape if named.plain else None
    if where == "query" and plain is not None and plain.nulls:
        found["allowEmptyValue"] = True
    if where == "query":
        found.update(_query_style(named))
    found["schema"] = value_schema(named, name, style)
    if style.evidence:
        found["x-spectap"] = named.evidence()
    return found


def _query_style(named: SentName) -> JsonObject:
    plain = named.plain.shape if named.plain else None
    if plain is not None and plain.objects is not None:
        return {"style": "deepObject", "explode": True}
    if is_list(named):
        return {"style": "form", "explode": False}
    if plain is not None and plain.arrays:
        return {"style": "form", "explode": True}
    return {}


def is_list(named: SentName) -> bool:
    """Whether commas mean a list of values."""
    if named.listed is None or (named.plain is not None and named.plain.shape.arrays):
        return False
    return named.listed.count >= LISTED * named.count


def value_schema(named: SentName, name: str, style: Style) -> JsonObject:
    """The schema of a name's values, without empty ones."""
    shapes = [_without_nulls(named.plain.shape)] if named.plain else []
    if named.listed is None:
        return _one_of(shapes[0], name, style)
    pieces = named.listed.shape.items or Shape()
    if is_list(named):
        return {"type": "array", "items": schema(merged([*shapes, pieces]), name, style)}
    if shapes and shapes[0].arrays:
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}


def _one_of(shape: Shape, name: str, style: Style) -> JsonObject:
    """The schema of a name sent once or repeatedly: an array describes both."""
    if shape.objects is not None:
        found = schema(shape, name, style)
        return found if found.get("type") == "object" else {"type": "object", "additionalProperties": {}}
    if not shape.arrays:
        return schema(shape, name, style) or {"type": "string"}
    single = merged([shape, Shape()])
    items = single.items or Shape()
    single.arrays, single.items = 0, None
    return {"type": "array", "items": schema(merged([single, items]), name, style)}


def _without_nulls(shape: Shape) -> Shape:
    if not shape.nulls:
        return shape
    copy = merged([shape, Shape()])
    copy.nulls = 0
    return copy


def schema_of_form(shape: Shape, style: Style) -> JsonObject:
    """The schema of a form's fields; a file is a string with any content."""
    wire = replace(style, wire=True, shared=None)
    sent = sent_of(shape)
    found: JsonObject = {"type": "object"}
    required = [name for name, one in sent.named.items() if one.count == sent.calls >= ENOUGH_FOR_QUERY]
    if required:
        found["required"] = [*required]
    properties: JsonObject = {name: _form_field(named, name, wire) for name, named in sent.named.items()}
    if properties:
        found["properties"] = properties
    if sent.free:
        found["additionalProperties"] = True
    return found


def _form_field(named: SentName, name: str, style: Style) -> JsonObject:
    if named.plain is not None and named.plain.shape.booleans:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    found: JsonObject = {"type": "string"} if named.listed else value_schema(named, name, style)
    if named.plain is not None and named.plain.shape.nulls:
        found = {"type": "string"}
    if style.evidence:
        found["x-spectap"] = named.evidence()
    return found


def described_headers(answers: StatusAnswers, style: Style) -> JsonObject:
    """The headers that most responses have."""
    sent = sent_of(answers.headers)
    wire = replace(style, wire=True)
    return {
        name: {"schema": value_schema(named, name, wire), **_noted(named, style)}
        for name, named in sent.named.items()
        if named.count >= COMMON * sent.calls and _is_plain(name)
    }


def _noted(named: SentName, style: Style) -> JsonObject:
    return {"x-spectap": named.evidence()} if style.evidence else {}
