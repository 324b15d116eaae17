"""A person's decisions on a learned document, as JSON; further traffic does not change them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jsonschema_rs import meta

from server.analysis.json import JsonObject, array_in, object_in
from server.analysis.rebuild.components import PREFIX
from server.analysis.rebuild.templates.model import (
    Decision,
    MergeWords,
    ParameterType,
    Rename,
    Retype,
    Split,
    TemplatePlace,
)

MOST_STEPS = 64  # of a pointer

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAMES = re.compile(r"\{[^{}]*\}")
_PLACES = ("query", "header", "cookie", "request.body", "response.body")


class BadDecision(ValueError):
    """The decision is invalid; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A person fixes the schema of a parameter or field, at `pointer` of an operation's part.

    `operation` is "GET /users/{}", without names of path parameters. In a body the pointer has `*` for the
    items of an array and the values of a map; elsewhere it is the parameter's name.
    """

    operation: str
    where: str
    pointer: str
    schema: JsonObject


def read(plain: JsonObject) -> Decision | Fix:
    """A decision from JSON. Raises BadDecision."""
    kind = plain.get("kind")
    if kind == "fix":
        return _fix(plain)
    place = TemplatePlace(tuple(_NAMES.sub("{}", str(part)) for part in array_in(plain, "place")))
    if kind == "merge":
        return MergeWords(place)
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


def _fix(plain: JsonObject) -> Fix:
    where, schema = _text(plain, "where"), plain.get("schema")
    if where not in _PLACES:
        raise BadDecision(f"where: one of {', '.join(_PLACES)}")
    if not isinstance(schema, dict) or not meta.is_valid(schema) or "$ref" in str(schema):
        raise BadDecision("schema: not a JSON Schema without references")
    return Fix(_NAMES.sub("{}", _text(plain, "operation")), where, _text(plain, "pointer", True), schema)


def _text(plain: JsonObject, name: str, empty: bool = False) -> str:
    value = plain.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise BadDecision(f"{name}: missing")
    return value


def of_templates(decisions: Sequence[Decision | Fix]) -> list[Decision]:
    return [one for one in decisions if not isinstance(one, Fix)]


def fixed(document: JsonObject, decisions: Sequence[Decision | Fix]) -> JsonObject:
    """Applies all fixes to the document, in place."""
    paths = object_in(document, "paths")
    for fix in decisions:
        if isinstance(fix, Fix):
            for operation in _chosen(paths, fix.operation):
                _apply(document, operation, fix)
    return document


def _chosen(paths: JsonObject, key: str) -> Iterator[JsonObject]:
    for path in paths:
        item = object_in(paths, path)
        for method in item:
            if f"{method.upper()} {_NAMES.sub('{}', path)}" == key:
                yield object_in(item, method)


def _apply(document: JsonObject, operation: JsonObject, fix: Fix) -> None:
    if fix.where in ("query", "header", "cookie"):
        for parameter in array_in(operation, "parameters"):
            if isinstance(parameter, dict) and (parameter["in"], parameter["name"]) == (
                fix.where,
                fix.pointer,
            ):
                parameter["schema"] = fix.schema
        return
    steps = [part.replace("~1", "/").replace("~0", "~") for part in fix.pointer.split("/")[1:]]
    for content in _contents(operation, fix.where):
        for kind in content:
            media = object_in(content, kind)
            if "schema" in media and len(steps) <= MOST_STEPS:
                _replace(document, media, "schema", steps, fix.schema)


def _contents(operation: JsonObject, where: str) -> Iterator[JsonObject]:
    """The bodies of a request, or of successful responses, by content type."""
    if where == "request.body":
        yield object_in(object_in(operation, "requestBody"), "content")
        return
    answers = object_in(operation, "responses")
    for status in answers:
        if status.startswith("2"):
            yield object_in(object_in(answers, status), "content")


def _replace(
    document: JsonObject, holder: JsonObject, key: str, steps: Sequence[str], schema: JsonObject
) -> None:
    """Replaces the schema at the end of the steps, in every alternative."""
    held = object_in(holder, key)
    if not steps:
        evidence = {k: v for k, v in held.items() if k == "x-spectap"}
        holder[key] = {**schema, **evidence}
        return
    for node in _nodes(document, held):
        step = steps[0]
        if step in object_in(node, "properties"):
            _replace(document, object_in(node, "properties"), step, steps[1:], schema)
        elif step == "*":
            for keyword in ("items", "additionalProperties"):
                if isinstance(node.get(keyword), dict):
                    _replace(document, node, keyword, steps[1:], schema)


def _nodes(document: JsonObject, node: JsonObject) -> Iterator[JsonObject]:
    """A schema, its references' targets, and its alternatives."""
    name = str(node.get("$ref", "")).removeprefix(PREFIX)
    schemas = object_in(object_in(document, "components"), "schemas")
    if name in schemas:
        yield from _nodes(document, object_in(schemas, name))
    yield node
    for keyword in ("oneOf", "anyOf"):
        for branch in array_in(node, keyword):
            if isinstance(branch, dict):
                yield from _nodes(document, branch)
