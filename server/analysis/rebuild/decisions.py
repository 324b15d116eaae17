"""What a person decides of a rebuilt document, as JSON; it survives whatever traffic brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema_rs import meta

from server.analysis.rebuild.components import PREFIX
from server.analysis.rebuild.templates.model import (
    Decision,
    Merge,
    ParameterType,
    Place,
    Rename,
    Retype,
    Split,
)

Json = dict[str, Any]

MOST_STEPS = 64  # of a pointer

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAMES = re.compile(r"\{[^{}]*\}")
_PLACES = ("query", "header", "cookie", "request.body", "response.body")


class BadDecision(ValueError):
    """What was decided makes no sense; one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A person says what a parameter or field is: the schema at `pointer` of an operation's part.

    `operation` is "GET /users/{}", names of path parameters left out. In a body the pointer has `*` for the
    items of an array and the values of a map; elsewhere it is the parameter's name.
    """

    operation: str
    where: str
    pointer: str
    schema: Json


def read(plain: Json) -> Decision | Fix:
    """A decision from JSON. Raises BadDecision."""
    kind = plain.get("kind")
    if kind == "fix":
        return _fix(plain)
    place = Place(tuple(_NAMES.sub("{}", str(part)) for part in plain.get("place") or ()))
    if kind == "merge":
        return Merge(place)
    if kind == "split":
        return Split(place, _text(plain, "word"))
    if kind == "rename":
        name = _text(plain, "name")
        if not _NAME.fullmatch(name):
            raise BadDecision("name: letters, digits, _ . and - only, and a letter first")
        return Rename(place, name)
    if kind == "retype":
        try:
            return Retype(place, ParameterType(_text(plain, "type")))
        except ValueError:
            raise BadDecision(f"type: one of {', '.join(ParameterType)}") from None
    raise BadDecision("kind: one of merge, split, rename, retype, fix")


def _fix(plain: Json) -> Fix:
    where, schema = _text(plain, "where"), plain.get("schema")
    if where not in _PLACES:
        raise BadDecision(f"where: one of {', '.join(_PLACES)}")
    if not isinstance(schema, dict) or not meta.is_valid(schema) or "$ref" in str(schema):
        raise BadDecision("schema: not a JSON Schema without references")
    return Fix(_NAMES.sub("{}", _text(plain, "operation")), where, _text(plain, "pointer", True), schema)


def _text(plain: Json, name: str, empty: bool = False) -> str:
    value = plain.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise BadDecision(f"{name}: missing")
    return value


def of_templates(decisions: Sequence[Decision | Fix]) -> list[Decision]:
    return [one for one in decisions if not isinstance(one, Fix)]


def fixed(document: Json, decisions: Sequence[Decision | Fix]) -> Json:
    """The document with all that a person fixed, changed in place."""
    for fix in decisions:
        if not isinstance(fix, Fix):
            continue
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if f"{method.upper()} {_NAMES.sub('{}', path)}" == fix.operation:
                    _apply(document, operation, fix)
    return document


def _apply(document: Json, operation: Json, fix: Fix) -> None:
    if fix.where in ("query", "header", "cookie"):
        for parameter in operation.get("parameters", ()):
            if (parameter["in"], parameter["name"]) == (fix.where, fix.pointer):
                parameter["schema"] = fix.schema
        return
    if fix.where == "request.body":
        holders = [operation.get("requestBody", {})]
    else:
        answers = operation.get("responses", {})
        holders = [answer for status, answer in answers.items() if status.startswith("2")]
    steps = [part.replace("~1", "/").replace("~0", "~") for part in fix.pointer.split("/")[1:]]
    for holder in holders:
        for media in holder.get("content", {}).values():
            if "schema" in media and len(steps) <= MOST_STEPS:
                _replace(document, media, "schema", steps, fix.schema)


def _replace(document: Json, holder: Json, key: str, steps: Sequence[str], schema: Json) -> None:
    """Puts a schema where the steps lead, within every alternative."""
    if not steps:
        evidence = {k: v for k, v in holder[key].items() if k == "x-spectap"}
        holder[key] = {**schema, **evidence}
        return
    for node in _nodes(document, holder[key]):
        step = steps[0]
        if step in node.get("properties", {}):
            _replace(document, node["properties"], step, steps[1:], schema)
        elif step == "*":
            for keyword in ("items", "additionalProperties"):
                if isinstance(node.get(keyword), dict):
                    _replace(document, node, keyword, steps[1:], schema)


def _nodes(document: Json, node: Json) -> Iterator[Json]:
    """A schema, what it refers to, and its alternatives."""
    name = str(node.get("$ref", "")).removeprefix(PREFIX)
    schemas = document.get("components", {}).get("schemas", {})
    if name in schemas:
        yield from _nodes(document, schemas[name])
    yield node
    for keyword in ("oneOf", "anyOf"):
        for branch in node.get(keyword, ()):
            yield from _nodes(document, branch)
