"""Changes of a document by which one kind of deviation would be none, narrow before wide."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.wire import Record
from server.analysis.specs.amending.patches import Change
from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.document.media import essence
from server.analysis.specs.document.pointers import Pointers, escape, under
from server.analysis.specs.judging.match import answer_of
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Content, Operation
from server.analysis.specs.routing.trie import Partial, parse_segment
from server.analysis.specs.schemas.validators import Parts

SEEN = "Seen in traffic."
_ADDED = re.compile(r"(/parameters/[0-9]+|/parameters/[^/]+|/headers/[^/]+)/schema")  # by `swagger.modern`
_KEYWORDS: dict[str, tuple[str, ...]] = {
    Kind.FORMAT: ("format",),
    Kind.PATTERN: ("pattern",),
    Kind.ENUM: ("enum", "const", "discriminator"),
    Kind.ONE_OF: ("oneOf", "anyOf", "not"),
    Kind.BOUNDS: (
        *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "maxLength"),
        *("minLength", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "format"),
        *("contains", "minContains", "maxContains", "unevaluatedItems", "prefixItems"),
    ),
}
Changes = tuple[Change, ...]


class Amendments:
    """Changes of one document. `record` is the call that shows the deviation, where it is still there."""

    def __init__(
        self,
        document: dict[str, Any],
        parts: Callable[[str], Parts],
        bases: Sequence[str],
        record: Record | None,
    ) -> None:
        self._document, self._parts, self._bases, self._record = document, parts, bases, record
        self._pointers = Pointers(document)
        self._is_swagger = "swagger" in document

    def of_shadow(self, key: str, kind: str, operations: Sequence[Operation]) -> Iterator[Changes]:
        """Of a call to what is not described; `key` is its method and a template made from traffic."""
        method, _, path = key.partition(" ")
        if method.lower() not in METHODS or not path.startswith("/"):
            return
        for base in sorted(self._bases, key=len, reverse=True):
            if path == base or path.startswith(base + "/") or not base:
                path = path[len(base) :] or "/"
                break
        template = self._template(path, operations) if kind == Kind.UNKNOWN_METHOD else None
        new: Any = {"responses": {"default": {"description": SEEN}}}
        if template is not None:
            place, _ = self._pointers.resolve(*self._item(template))
            new |= self._with_path_parameters(_names(template))
            yield ({"op": "add", "path": under(place, method.lower()), "value": new},)
            return
        numbered = _numbered(path)
        new |= self._with_path_parameters(_names(numbered))
        yield ({"op": "add", "path": under("/paths", numbered), "value": {method.lower(): new}},)

    def _template(self, path: str, operations: Sequence[Operation]) -> str | None:
        """The template that describes the path already."""
        shape = _shape(path)
        same = next((one.template for one in operations if _shape(one.template) == shape), None)
        return same or next((one.template for one in operations if _fits(one.template, path)), None)

    def _with_path_parameters(self, names: Sequence[str]) -> Any:
        text = {"type": "string"}
        value: Any = text if self._is_swagger else {"schema": text}
        described = [{"name": name, "in": "path", "required": True, **value} for name in names]
        return {"parameters": described} if described else {}

    def _item(self, template: str) -> tuple[str, Any]:
        place = under("/paths", template)
        return place, self._pointers.at(place, place)

    def of_operation(self, operation: Operation, kind: str, where: str, pointer: str) -> Iterator[Changes]:
        """Of a call of this operation."""
        place, item = self._pointers.resolve(*self._item(operation.template))
        name = next((name for name in item if name.lower() == operation.method.lower()), None)
        at = under(place, name) if name else under(place, "additionalOperations", operation.method)
        node = self._pointers.at(at, at)
        match kind:
            case Kind.UNKNOWN_STATUS:
                yield (_add(under(at, "responses"), pointer, {"description": SEEN}),)
            case Kind.UNKNOWN_PARAMETER:
                yield self._parameter(node, at, pointer, "query")
            case Kind.UNKNOWN_HEADER:
                yield from self._header(operation, node, at, where, pointer)
            case Kind.UNKNOWN_BODY:
                yield self._body(node, at)
            case Kind.UNKNOWN_CONTENT_TYPE:
                yield from self._content_type(operation, node, at, where)
            case Kind.MISSING_PARAMETER | Kind.MISSING_HEADER | Kind.MISSING_BODY:
                yield from self._missing(operation, node, at, item, place, where, pointer)
            case Kind.SECURITY_UNMET:
                known = node.get("security", self._document.get("security", []))
                yield (_add(at, "security", [*known, {}]),)
            case Kind.MALFORMED_BODY | Kind.MALFORMED_PARAMETER:
                return
            case _:
                yield from self._schema(self._roots(operation, where, pointer), kind, where, pointer)

    def _parameter(self, node: Any, at: str, name: str, where: str) -> Changes:
        value: Any = {"type": "string"} if self._is_swagger else {"schema": {}}
        described = {"name": name, "in": where, **value}
        if "parameters" in node:
            return ({"op": "add", "path": under(at, "parameters", "-"), "value": described},)
        return (_add(at, "parameters", [described]),)

    def _header(self, operation: Operation, node: Any, at: str, where: str, name: str) -> Iterator[Changes]:
        if where == Where.HEADER:
            yield self._parameter(node, at, name, "header")
            return
        place, response = self._response(operation, at)
        value: Any = {"type": "string"} if self._is_swagger else {"schema": {}}
        if "headers" in response:
            yield (_add(under(place, "headers"), name, value),)
        else:
            yield (_add(place, "headers", {name: value}),)

    def _response(self, operation: Operation, at: str) -> tuple[str, Any]:
        """The description of the sample's status; of the only one where there is no sample."""
        seen = self._record.response if self._record else None
        answer = answer_of(operation, seen.status) if seen else None
        name = answer[0] if answer else next(iter(operation.responses), "default")
        responses = self._pointers.at(under(at, "responses"), at)
        said = next((one for one in responses if one.upper() == name.upper()), name)
        return self._pointers.resolve(under(at, "responses", said), responses.get(said))

    def _kind(self, where: str) -> str:
        """The media type that was sent, where the sample tells."""
        message = None
        if self._record is not None:
            request, response = self._record.request, self._record.response
            message = request if where == Where.REQUEST_BODY else response
        kind = essence(message.content_type or "") if message else ""
        return kind if re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", kind) else ""

    def _body(self, node: Any, at: str) -> Changes:
        if self._is_swagger:
            body = {"name": "body", "in": "body", "schema": {}}
            if "parameters" in node:
                return ({"op": "add", "path": under(at, "parameters", "-"), "value": body},)
            return (_add(at, "parameters", [body]),)
        return (_add(at, "requestBody", {"content": {self._kind(Where.REQUEST_BODY) or "*/*": {}}}),)

    def _content_type(self, operation: Operation, node: Any, at: str, where: str) -> Iterator[Changes]:
        kind = self._kind(where) or "*/*"
        if self._is_swagger:
            keyword = "consumes" if where == Where.REQUEST_BODY else "produces"
            known = node.get(keyword, self._document.get(keyword, []))
            yield (_add(at, keyword, [*known, kind]),)
        elif where == Where.REQUEST_BODY:
            place, _ = self._pointers.resolve(under(at, "requestBody"), node.get("requestBody"))
            yield (_add(under(place, "content"), kind, {}),)
        else:
            place, _ = self._response(operation, at)
            yield (_add(under(place, "content"), kind, {}),)

    def _missing(
        self, operation: Operation, node: Any, at: str, item: Any, item_at: str, where: str, name: str
    ) -> Iterator[Changes]:
        if where == Where.RESPONSE_BODY:
            place, response = self._response(operation, at)
            keyword = "schema" if self._is_swagger else "content"
            if keyword in response:
                yield ({"op": "remove", "path": under(place, keyword)},)
        elif where == Where.REQUEST_BODY and not self._is_swagger:
            place, _ = self._pointers.resolve(under(at, "requestBody"), node.get("requestBody"))
            yield ({"op": "remove", "path": under(place, "required")},)
        elif where == Where.RESPONSE_HEADER:
            place, response = self._response(operation, at)
            said = next((one for one in response.get("headers", {}) if one.lower() == name), name)
            yield ({"op": "remove", "path": under(place, "headers", said, "required")},)
        else:
            wanted = "body" if where == Where.REQUEST_BODY else where
            for owner, place in ((node, at), (item, item_at)):
                for i, entry in enumerate(owner.get("parameters", ())):
                    found_at, found = self._pointers.resolve(under(place, "parameters", i), entry)
                    same = found.get("in") == wanted and (
                        wanted == "body" or found.get("name", "").lower() == name.lower()
                    )
                    if same and found.get("required"):
                        yield ({"op": "replace", "path": under(found_at, "required"), "value": False},)

    def _roots(self, operation: Operation, where: str, pointer: str) -> list[str]:
        """Places of the schemas that the value was judged by."""
        if where == Where.REQUEST_BODY:
            return _schemas(operation.body)
        if where in (Where.RESPONSE_BODY, Where.RESPONSE_HEADER):
            seen = self._record.response if self._record else None
            answer = answer_of(operation, seen.status) if seen else None
            contents = [answer[1]] if answer else [*operation.responses.values()]
            if where == Where.RESPONSE_BODY:
                return [place for content in contents for place in _schemas(content)]
            described = [header for content in contents for header in content.headers]
        else:
            described = [*operation.parameters]
        return [one.schema for one in described if one.name == pointer and one.where == where and one.schema]

    def _schema(self, roots: Sequence[str], kind: str, where: str, pointer: str) -> Iterator[Changes]:
        tokens = pointer.split("/")[1:] if str(where).endswith(".body") else []
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in tokens]
        of_field = kind in (Kind.UNKNOWN_FIELD, Kind.FORBIDDEN_FIELD, Kind.MISSING_FIELD)
        name = tokens.pop() if of_field and tokens else ""
        parts: dict[str, Any] = {}
        for root in roots:
            parts |= self._reach(root, tokens)
        value = self._value(where, tokens)
        match kind:
            case Kind.UNKNOWN_FIELD | Kind.FORBIDDEN_FIELD:
                yield from self._named(parts, name, value, kind)
            case Kind.MISSING_FIELD:
                yield tuple(
                    {"op": "replace", "path": under(self._real(at), "required"), "value": rest}
                    for at, part in parts.items()
                    if name in part.get("required", ())
                    for rest in [[one for one in part["required"] if one != name]]
                )
            case Kind.READ_ONLY | Kind.WRITE_ONLY:
                keyword = "readOnly" if kind == Kind.READ_ONLY else "writeOnly"
                yield self._without(parts, [keyword])
            case Kind.TYPE:
                yield from self._typed(parts, value)
            case _:
                yield from self._looser(parts, kind, value)

    def _reach(self, root: str, tokens: Sequence[str]) -> dict[str, Any]:
        """The schemas that apply at a place in a value, by their own places."""
        parts = dict(self._parts(root))
        for token in tokens:
            below: dict[str, Any] = {}
            for at, part in parts.items():
                for place in _below(at, part, token):
                    below |= self._parts(place)
            parts = below
        return parts

    def _named(self, parts: dict[str, Any], name: str, value: Any, kind: str) -> Iterator[Changes]:
        schema = {"type": _type(value[name])} if isinstance(value, dict) and name in value else {}
        if schema.get("type") == "null":
            schema = {}
        closed = {at: part for at, part in parts.items() if part.get("additionalProperties") is False}
        if kind == Kind.FORBIDDEN_FIELD:
            yield tuple(self._property(at, part, name, schema) for at, part in closed.items())
            yield self._without(parts, ["additionalProperties", "unevaluatedProperties", "propertyNames"])
            return
        for at, part in parts.items():
            if "properties" in part:
                yield (self._property(at, part, name, schema),)

    def _property(self, at: str, part: Any, name: str, schema: Any) -> Change:
        place = self._real(at)
        if "properties" in part:
            return _add(under(place, "properties"), name, schema)
        return _add(place, "properties", {name: schema})

    def _typed(self, parts: dict[str, Any], value: Any) -> Iterator[Changes]:
        typed = {at: part for at, part in parts.items() if "type" in part}
        if value is None and (self._is_swagger or str(self._document.get("openapi")).startswith("3.0")):
            keyword = "x-nullable" if self._is_swagger else "nullable"
            yield tuple(_add(self._real(at), keyword, True) for at in typed)
        elif value is not Ellipsis and not self._is_swagger and self._reads_lists():
            yield tuple(
                _add(self._real(at), "type", [*([said] if isinstance(said, str) else said), _type(value)])
                for at, part in typed.items()
                for said in [part["type"]]
            )
        yield self._without(typed, ["type"])
        yield self._without(parts, ["type", "format", "enum", "properties", "items"])

    def _reads_lists(self) -> bool:
        return not str(self._document.get("openapi", "")).startswith("3.0")

    def _looser(self, parts: dict[str, Any], kind: str, value: Any) -> Iterator[Changes]:
        if kind == Kind.ENUM and isinstance(value, (str, int, float, bool)):
            yield tuple(
                _add(self._real(at), "enum", [*part["enum"], value])
                for at, part in parts.items()
                if "enum" in part
            )
        keywords = _KEYWORDS.get(kind, ())
        for keyword in keywords:
            yield self._without(parts, [keyword])
        yield self._without(parts, keywords)

    def _without(self, parts: dict[str, Any], keywords: Sequence[str]) -> Changes:
        return tuple(
            {"op": "remove", "path": under(self._real(at), keyword)}
            for at, part in parts.items()
            for keyword in keywords
            if keyword in part
        )

    def _real(self, place: str) -> str:
        """The place in the document of one that reading made beside it (Swagger's parameters)."""
        return _ADDED.sub(self._own, place) if self._is_swagger else place

    def _own(self, found: re.Match[str]) -> str:
        owner = found.string[: found.end(1)]
        node = self._pointers.at(owner, owner)
        return found[1] if isinstance(node, dict) and "schema" not in node else found[0]

    def _value(self, where: str, tokens: Sequence[str]) -> Any:
        """The sample's value at a place, Ellipsis where it is not told. Of masked values only the type."""
        message: Any = None
        if self._record is not None:
            message = self._record.request if where == Where.REQUEST_BODY else self._record.response
        if message is None or not where.endswith(".body") or message.body.data is None:
            return ...
        pointer = "".join("/" + escape(token) for token in tokens)
        assert self._record is not None
        if any(mask.where == where and mask.pointer == pointer for mask in self._record.masks):
            return ...
        try:
            value = json.loads(message.body.data)
        except (ValueError, RecursionError):
            return ...
        for token in tokens:
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list) and value and (token == "*" or token.isdecimal()):
                index = 0 if token == "*" else int(token)
                value = value[index] if index < len(value) else ...
            else:
                return ...
        return value


def _add(place: str, key: str, value: Any) -> Change:
    return {"op": "add", "path": under(place, key), "value": value}


def _schemas(content: Content | None) -> list[str]:
    return [place for place in (content.media.values() if content else ()) if place is not None]


def _below(at: str, part: Any, token: str) -> Iterator[str]:
    if token in part.get("properties", ()):
        yield under(at, "properties", token)
    elif isinstance(part.get("additionalProperties"), dict) and token != "*":
        yield under(at, "additionalProperties")
    if (token == "*" or token.isdecimal()) and isinstance(part.get("items"), dict):
        yield under(at, "items")


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _shape(template: str) -> list[str]:
    """A template's segments, without the names of its parameters."""
    try:
        segments = [parse_segment(segment) for segment in template.split("/")]
    except ValueError:
        return [template]
    return ["{}".join(one.literals) if isinstance(one, Partial) else one for one in segments]


def _fits(template: str, path: str) -> bool:
    """Whether a path made from traffic is one of a template's."""
    parts, segments = template.split("/"), path.split("/")
    try:
        pairs = zip(map(parse_segment, parts), segments, strict=True)
        return all(
            one.values(segment) is not None if isinstance(one, Partial) else one == segment
            for one, segment in pairs
        )
    except ValueError:
        return False


def _names(template: str) -> list[str]:
    return re.findall(r"\{([^{}]*)\}", template)


def _numbered(template: str) -> str:
    """The template with distinct names: {id}, {id2}, …"""
    counts: dict[str, int] = {}

    def name(found: re.Match[str]) -> str:
        counts[found[1]] = counts.get(found[1], 0) + 1
        number = counts[found[1]]
        return f"{{{found[1]}{number if number > 1 else ''}}}"

    return re.sub(r"\{([^{}]*)\}", name, template)
