"""Compares two learned documents: the changes, whether they break consumers, and the next version.

Clients rely on what was accepted: a request's new schema must cover the old one, which has no fields that
were never sent. They also rely on what was returned: a response's old schema must cover the new one; further
fields are harmless. An undecidable comparison counts as breaking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jsonschema_rs import canonicalize

from server.analysis.json import Json, JsonObject, array_in, object_in
from server.analysis.rebuild.components import PREFIX
from server.analysis.rebuild.shapes.closed import closed

FIRST_DRAFT = "0.1.0"
FIRST = "1.0.0"
MOST_NAMED = 5  # operations named in the change of one that came apart
MOST_CHANGES = 500  # reported of one comparison

_EVIDENCE = frozenset(("x-spectap", "examples"))
_NAMES = re.compile(r"\{[^{}]*\}")
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the operation ("GET /users/{}"), the part of it, and what changed."""

    operation: str
    part: str
    what: str
    breaking: bool


def comparable(document: JsonObject) -> JsonObject:
    """A document without evidence and version, for comparison."""
    found = _bare_object(document)
    found["info"] = {"title": object_in(document, "info").get("title")}
    return found


def _bare_object(node: JsonObject) -> JsonObject:
    return {key: _bare(value) for key, value in node.items() if key not in _EVIDENCE}


def _bare(node: Json) -> Json:
    if isinstance(node, dict):
        return _bare_object(node)
    return [_bare(one) for one in node] if isinstance(node, list) else node


def versioned(document: JsonObject, version: str) -> JsonObject:
    """The document as this version."""
    return {**document, "info": {**object_in(document, "info"), "version": version}}


def is_draft(version: str) -> bool:
    """Whether a version promises nothing yet: 0.x (semver.org, clause 4)."""
    return version.startswith("0.")


def next_version(version: str, changes: list[Change]) -> str:
    """The version after these changes: a new major one if any breaks, except of a draft."""
    major, minor, _ = (int(part) for part in version.split("."))
    breaks = major > 0 and any(change.breaking for change in changes)
    return f"{major + 1}.0.0" if breaks else f"{major}.{minor + 1}.0"


def diff(old: JsonObject, new: JsonObject) -> list[Change]:
    """The changes, in the order of paths."""
    before, after = _Document(comparable(old)), _Document(comparable(new))
    changes: list[Change] = []
    for key in sorted(before.operations.keys() | after.operations.keys()):
        if len(changes) >= MOST_CHANGES:
            break
        if key not in after.operations:
            changes.append(_gone(key, before, after))
        elif key not in before.operations:
            changes.append(Change(key, "", "added", False))
        else:
            changes += _Comparison(key, before, after).changes()
    return changes[:MOST_CHANGES]


def _gone(key: str, before: _Document, after: _Document) -> Change:
    """What became of an operation. A template that gives words back stands for the same calls as before, and
    so does the form of a path without the slash at its end.
    """
    if key.endswith("/") and key[:-1] in after.operations:
        return Change(key, "", f"joined {key[:-1]}", False)
    apart = [new for new in sorted(after.operations.keys() - before.operations.keys()) if _fits(key, new)]
    if not apart:
        return Change(key, "", "removed", True)
    named = ", ".join(apart[:MOST_NAMED]) + (
        f" and {len(apart) - MOST_NAMED} more" * (len(apart) > MOST_NAMED)
    )
    return Change(key, "", f"came apart into {named}", False)


def _fits(template: str, path: str) -> bool:
    """Whether an operation is a special case of another: `GET /{}/items` of `GET /{}/{}`."""
    wide, narrow = template.split("/"), path.split("/")
    return len(wide) == len(narrow) and all(
        one == other or one == "{}" for one, other in zip(wide, narrow, strict=True)
    )


class _Document:
    """One side of a comparison: its operations and schemas, also with closed objects."""

    def __init__(self, document: JsonObject) -> None:
        self.schemas = object_in(object_in(document, "components"), "schemas")
        self.closed = {name: closed(object_in(self.schemas, name)) for name in self.schemas}
        self.operations: dict[str, JsonObject] = {}
        paths = object_in(document, "paths")
        for path in paths:
            item = object_in(paths, path)
            for method in _METHODS:
                if method in item:
                    key = f"{method.upper()} {_NAMES.sub('{}', path)}"
                    self.operations[key] = object_in(item, method)

    def whole(self, schema: JsonObject, only_named: bool) -> JsonObject:
        """A schema with all schemas it references."""
        every = self.closed if only_named else self.schemas
        found: JsonObject = {}
        stack: list[Json] = [schema]
        while stack:
            node = stack.pop()
            if isinstance(node, dict):
                name = str(node.get("$ref", "")).removeprefix(PREFIX)
                if name in every and name not in found:
                    found[name] = every[name]
                    stack.append(every[name])
                stack += node.values()
            elif isinstance(node, list):
                stack += node
        root = closed(schema) if only_named else schema
        return {**root, "components": {"schemas": found}} if found else root


class _Comparison:
    """One operation in two documents."""

    def __init__(self, key: str, before: _Document, after: _Document) -> None:
        self._key = key
        self._before, self._after = before, after
        self._old, self._new = before.operations[key], after.operations[key]

    def changes(self) -> Iterator[Change]:
        yield from self._parameters()
        yield from self._body()
        yield from self._answers()
        old, new = array_in(self._old, "security"), array_in(self._new, "security")
        if old != new:
            lost = [one for one in old or [{}] if one not in (new or [{}])]
            yield self._change("security", "changed", bool(lost) and {} not in new)
        if bool(self._old.get("deprecated")) != bool(self._new.get("deprecated")):
            yield self._change("deprecated", "changed", False)

    def _change(self, part: str, what: str, breaking: bool) -> Change:
        return Change(self._key, part, what, breaking)

    def _parameters(self) -> Iterator[Change]:
        old, new = (_named(array_in(one, "parameters")) for one in (self._old, self._new))
        for name in sorted(old.keys() | new.keys()):
            if name not in new:
                yield self._change(name, "removed", True)
            elif name not in old:
                yield self._change(name, "added", bool(new[name].get("required")))
            else:
                yield from self._parameter(name, old[name], new[name])

    def _parameter(self, name: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
        if bool(old.get("required")) != bool(new.get("required")):
            required = bool(new.get("required"))
            yield self._change(name, "required now" if required else "optional now", required)
        styles = [
            {key: one.get(key) for key in ("style", "explode", "allowEmptyValue")} for one in (old, new)
        ]
        if styles[0] != styles[1]:
            yield self._change(name, "sent in another style", True)
        yield from self._schema(name, object_in(old, "schema"), object_in(new, "schema"), True)

    def _body(self) -> Iterator[Change]:
        old, new = object_in(self._old, "requestBody"), object_in(self._new, "requestBody")
        if not old or not new:
            if old != new:
                breaking = not new or bool(new.get("required"))
                yield self._change("request.body", "removed" if old else "added", breaking)
            return
        if not old.get("required") and new.get("required"):
            yield self._change("request.body", "required now", True)
        yield from self._content("request.body", old, new, asked=True)

    def _answers(self) -> Iterator[Change]:
        old, new = object_in(self._old, "responses"), object_in(self._new, "responses")
        for status in sorted(old.keys() | new.keys()):
            part = f"response {status}"
            if status not in new:
                yield self._change(part, "removed", True)
            elif status not in old:
                yield self._change(part, "added", False)
            else:
                yield from self._content(part, object_in(old, status), object_in(new, status), asked=False)

    def _content(self, part: str, old: JsonObject, new: JsonObject, asked: bool) -> Iterator[Change]:
        before, after = object_in(old, "content"), object_in(new, "content")
        for kind in sorted(before.keys() | after.keys()):
            place = f"{part} {kind}"
            if kind not in after:
                yield self._change(place, "removed", True)
            elif kind not in before:
                yield self._change(place, "added", False)
            else:
                old_schema, new_schema = (
                    object_in(object_in(one, kind), "schema") for one in (before, after)
                )
                yield from self._schema(place, old_schema, new_schema, asked)

    def _schema(self, part: str, old: JsonObject, new: JsonObject, asked: bool) -> Iterator[Change]:
        before, after = self._before.whole(old, asked), self._after.whole(new, asked)
        if before == after:
            return
        wide, narrow = (after, before) if asked else (before, after)
        covers = _covers(wide, narrow)
        what = {"yes": "changed", "no": "changed"}.get(
            covers, "changed; whether it breaks clients is unknown"
        )
        yield self._change(part, what, covers != "yes")


def _named(parameters: list[Json]) -> dict[str, JsonObject]:
    """Parameters by place and name; those in the path by order, since their names are arbitrary."""
    found: dict[str, JsonObject] = {}
    for index, one in enumerate(parameters):
        if isinstance(one, dict):
            name = str(index) if one["in"] == "path" else one["name"]
            found[f"{one['in']} {name}"] = one
    return found


def _covers(wide: JsonObject, narrow: JsonObject) -> str:
    """Whether one schema allows everything that the other does: "yes", "no" or "unknown"."""
    try:
        some, others = (canonicalize(one, validate_formats=True) for one in (wide, narrow))
        return str(some.covers(others))
    except ValueError:
        return "unknown"
