"""What changed between two rebuilt documents, whether it breaks callers, and which version comes next.

Who asks relies on what was accepted: a request's new schema has to cover the old one, fields that were never
sent being none. Who reads relies on what was answered: the old schema of an answer has to cover the new one,
further fields being harmless. Where that cannot be told, it is taken for breaking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema_rs import canonicalize

from server.analysis.rebuild.components import PREFIX

Json = dict[str, Any]

FIRST = "1.0.0"
MOST_CHANGES = 500  # told of one comparison

_EVIDENCE = frozenset(("x-spectap", "examples"))
_NAMES = re.compile(r"\{[^{}]*\}")
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the operation ("GET /users/{}"), the part of it, and what became of that."""

    operation: str
    part: str
    what: str
    breaking: bool


def comparable(document: Json) -> Json:
    """A document without evidence and version: what two are compared by."""
    found: Json = _bare(document)
    found["info"] = {"title": found["info"]["title"]}
    return found


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in _EVIDENCE}
    return [_bare(one) for one in node] if isinstance(node, list) else node


def next_version(version: str, changes: list[Change]) -> str:
    """The version after these changes: a major one if any breaks."""
    major, minor, _ = (int(part) for part in version.split("."))
    return f"{major + 1}.0.0" if any(change.breaking for change in changes) else f"{major}.{minor + 1}.0"


def diff(old: Json, new: Json) -> list[Change]:
    """What changed; in the order of paths."""
    before, after = _Document(comparable(old)), _Document(comparable(new))
    changes: list[Change] = []
    for key in sorted(before.operations.keys() | after.operations.keys()):
        if len(changes) >= MOST_CHANGES:
            break
        if key not in after.operations:
            changes.append(Change(key, "", "removed", True))
        elif key not in before.operations:
            changes.append(Change(key, "", "added", False))
        else:
            changes += _Comparison(key, before, after).changes()
    return changes[:MOST_CHANGES]


class _Document:
    def __init__(self, document: Json) -> None:
        parts = document.get("components") or {}
        self.schemas: Json = parts.get("schemas") or {}
        self.closed: Json = _closed(self.schemas)
        self.operations: dict[str, Json] = {}
        for path, item in document["paths"].items():
            for method in _METHODS:
                if method in item:
                    self.operations[f"{method.upper()} {_NAMES.sub('{}', path)}"] = item[method]

    def whole(self, schema: Json, closed: bool) -> Json:
        """A schema with all that its references lead to."""
        every = self.closed if closed else self.schemas
        found: Json = {}
        stack: list[Any] = [schema]
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
        root = _closed(schema) if closed else schema
        return {**root, "components": {"schemas": found}} if found else root


def _closed(node: Any) -> Any:
    """Schemas whose objects have the named fields alone."""
    if isinstance(node, list):
        return [_closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") and "additionalProperties" not in node:
        found["additionalProperties"] = False
    return found


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
        old, new = self._old.get("security", []), self._new.get("security", [])
        if old != new:
            lost = [one for one in old or [{}] if one not in (new or [{}])]
            yield self._change("security", "changed", bool(lost) and {} not in new)
        if bool(self._old.get("deprecated")) != bool(self._new.get("deprecated")):
            yield self._change("deprecated", "changed", False)

    def _change(self, part: str, what: str, breaking: bool) -> Change:
        return Change(self._key, part, what, breaking)

    def _parameters(self) -> Iterator[Change]:
        old, new = (_named(one.get("parameters", [])) for one in (self._old, self._new))
        for name in sorted(old.keys() | new.keys()):
            if name not in new:
                yield self._change(name, "removed", True)
            elif name not in old:
                yield self._change(name, "added", bool(new[name].get("required")))
            else:
                yield from self._parameter(name, old[name], new[name])

    def _parameter(self, name: str, old: Json, new: Json) -> Iterator[Change]:
        if bool(old.get("required")) != bool(new.get("required")):
            required = bool(new.get("required"))
            yield self._change(name, "required now" if required else "optional now", required)
        styles = [
            {key: one.get(key) for key in ("style", "explode", "allowEmptyValue")} for one in (old, new)
        ]
        if styles[0] != styles[1]:
            yield self._change(name, "sent in another style", True)
        yield from self._schema(name, old.get("schema", {}), new.get("schema", {}), True)

    def _body(self) -> Iterator[Change]:
        old, new = self._old.get("requestBody"), self._new.get("requestBody")
        if old is None or new is None:
            if old != new:
                added = old is None
                breaking = not added or bool((new or {}).get("required"))
                yield self._change("request.body", "added" if added else "removed", breaking)
            return
        if not old.get("required") and new.get("required"):
            yield self._change("request.body", "required now", True)
        yield from self._content("request.body", old, new, asked=True)

    def _answers(self) -> Iterator[Change]:
        old, new = self._old["responses"], self._new["responses"]
        for status in sorted(old.keys() | new.keys()):
            part = f"response {status}"
            if status not in new:
                yield self._change(part, "removed", True)
            elif status not in old:
                yield self._change(part, "added", False)
            else:
                yield from self._content(part, old[status], new[status], asked=False)

    def _content(self, part: str, old: Json, new: Json, asked: bool) -> Iterator[Change]:
        before, after = old.get("content", {}), new.get("content", {})
        for kind in sorted(before.keys() | after.keys()):
            place = f"{part} {kind}"
            if kind not in after:
                yield self._change(place, "removed", True)
            elif kind not in before:
                yield self._change(place, "added", False)
            else:
                old_schema, new_schema = (one[kind].get("schema", {}) for one in (before, after))
                yield from self._schema(place, old_schema, new_schema, asked)

    def _schema(self, part: str, old: Json, new: Json, asked: bool) -> Iterator[Change]:
        before, after = self._before.whole(old, asked), self._after.whole(new, asked)
        if before == after:
            return
        wide, narrow = (after, before) if asked else (before, after)
        covers = _covers(wide, narrow)
        what = {"yes": "changed", "no": "changed"}.get(covers, "changed; whether it breaks cannot be told")
        yield self._change(part, what, covers != "yes")


def _named(parameters: list[Json]) -> dict[str, Json]:
    """Parameters by place and name; those of the path by their order, since names of theirs are free."""
    found: dict[str, Json] = {}
    for index, one in enumerate(parameters):
        name = str(index) if one["in"] == "path" else one["name"]
        found[f"{one['in']} {name}"] = one
    return found


def _covers(wide: Json, narrow: Json) -> str:
    """Whether all that the one allows the other does too: "yes", "no" or "unknown"."""
    make: Callable[..., Any] = canonicalize
    try:
        answer = make(wide, validate_formats=True).covers(make(narrow, validate_formats=True))
    except ValueError:
        return "unknown"
    return str(answer)
