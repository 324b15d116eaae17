"""A plain and slow reference for the parts that an exchange exercises: the README's rules on the schemas."""

from __future__ import annotations

from collections.abc import Iterator

from agent.wire import Body, Record, Request
from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.pointers import escape, under
from server.analysis.specs.judging.json_reading import NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.parameters import cookie_texts, header_texts, is_on, query_texts
from server.analysis.specs.model import Content, Parameter
from server.analysis.specs.specification import Specification

ITEM = "item of an array"

Schemas = list[tuple[dict[str, JsonObject], frozenset[str]]]
"""The schemas of a place by their own places, and the places of all schemas they are within."""


def parts_by_reference(judged: Judged, specification: Specification) -> set[str]:
    """The parts that an exchange exercised."""
    record, request = judged.record, judged.record.request
    operation = next((one for one in specification.operations if one.key == judged.judgement.operation), None)
    if operation is None or request is None:
        return set()
    can_watch = operation.method == "GET" and ("query", "watch") in {
        (one.where, one.name) for one in operation.parameters
    }
    kind = "watch" if can_watch and is_on(request.query, "watch") else "hits"
    found = {f"{kind}:{_class(record)}"}
    found |= {"deviating"} if judged.judgement.verdict == "deviating" else set()
    found |= {"refused"} if judged.judgement.fault == "caller" else set()
    found |= {f"parameter:{one.where}:{one.name}" for one in operation.parameters if _is_sent(one, request)}
    found |= _body(specification, operation.body, request.body, request.content_type, "request.body")
    if record.response is not None and (answer := operation.answer(record.response.status)) is not None:
        status, content = answer
        body, content_type = record.response.body, record.response.content_type
        found |= _body(specification, content, body, content_type, f"response.body.{status}")
    return found


def _class(record: Record) -> str:
    return "none" if record.response is None else f"{record.response.status // 100}xx"


def _is_sent(parameter: Parameter, request: Request) -> bool:
    names = _names(request, parameter.where)
    if parameter.where == "path" or parameter.name in names:
        return True
    return parameter.style == "deepObject" and any(one.startswith(parameter.name + "[") for one in names)


def _names(request: Request, where: str) -> set[str]:
    headers = header_texts(request.headers, {name.lower() for name, _ in request.headers})
    sent = {"query": query_texts(request.query), "header": headers, "cookie": cookie_texts(headers)}
    return set(sent.get(where, ()))


def _body(
    specification: Specification, content: Content | None, body: Body, content_type: str | None, at: str
) -> set[str]:
    media = content.media.items() if content else ()
    places = [
        place for kind, place in media if place and (_is_json(kind) or kind in ("*/*", "application/*"))
    ]
    described = [[(parts, frozenset(parts))] for parts in map(dict, map(specification.parts, places))]
    if body.size == 0 or not any([*_children(parts)] for [(parts, _)] in described):
        return set()
    if body.data is None or body.state != "complete":
        return {"body:unseen"}
    kind = (content_type or "").split(";")[0].strip().lower()
    if kind and not _is_json(kind):
        return set()
    try:
        value = json_value(body.data)
    except (NotJson, UnreadableJson):
        return {"body:unseen"}
    found = {pointer for schemas in described for pointer in _fields(specification, schemas, value, "")}
    return {f"field:{at}{pointer}" for pointer in found}


def _is_json(kind: str) -> bool:
    return kind.endswith(("/json", "+json"))


def _fields(specification: Specification, schemas: Schemas, value: Json, at: str) -> Iterator[str]:
    """The pointers of described fields below a value."""
    inner: list[tuple[str, Json]] = []
    if isinstance(value, dict):
        inner = [(name if _within(specification, schemas, name) else "*", one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(ITEM, one) for one in value]
    for token, one in inner:
        places = _within(specification, schemas, token)
        if places:
            pointer = f"{at}/{'*' if token == ITEM else escape(token)}"
            yield pointer
            below = [(parts, above | {*parts}) for parts, above in places if above.isdisjoint(parts)]
            yield from _fields(specification, below, one, pointer)


def _within(specification: Specification, schemas: Schemas, token: str) -> Schemas:
    """The schemas of fields of this name, and those that these are within."""
    return [
        (dict(specification.parts(place)), above)
        for parts, above in schemas
        for name, place in _children(parts)
        if name == token
    ]


def _children(parts: dict[str, JsonObject]) -> Iterator[tuple[str, str]]:
    for at, node in parts.items():
        for keyword in ("properties", "patternProperties"):
            named = node.get(keyword)
            for name in named if isinstance(named, dict) else ():
                yield name if keyword == "properties" else "*", under(at, keyword, name)
        for token, keyword in ((ITEM, "items"), ("*", "additionalProperties")):
            if isinstance(node.get(keyword), dict):
                yield token, under(at, keyword)
        first = node.get("prefixItems")
        for i in range(len(first) if isinstance(first, list) else 0):
            yield ITEM, under(at, "prefixItems", i)
