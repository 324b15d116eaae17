"""The exercised parts of an exchange are those that a plain reference finds."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Body, Record
from server.analysis.coverage import fields
from server.analysis.coverage.fields import FieldTree
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.parts import parts_of
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.specification import Specification
from tests.server.analysis.coverage.reference import parts_by_reference
from tests.server.analysis.specs.spec_calls import EMPTY, body, call, parameter, spec

PLACE = "/components/schemas/M"
NAMES = ["a", "b", "c/d", "e~", "*", "é", "0"]
PARAMETERS = [
    parameter("limit", "query", {}),
    parameter("watch", "query", {"type": "boolean"}),
    parameter("filter", "query", {"type": "object"}, style="deepObject"),
    parameter("X-Trace", "header", {}),
    parameter("session", "cookie", {}),
    parameter("cookie", "cookie", {}),
]
PAIRS = [b"limit=1", b"limit", b"watch=1", b"watch=0", b"filter[a]=1", b"filter", b"%6Cimit=2", b"f+x", b"="]
HEADERS = [(b"X-Trace", b"1"), (b"x-other", b"2"), (b"Cookie", b"session=1; b=2"), (b"cookie", b"cookie=;x")]
KINDS = [*["application/json"] * 5, "Application/JSON; charset=utf-8", "a/b+json", "text/plain", None]


def schema(chance: Random, depth: int = 0) -> dict[str, Any]:
    """Schemas with any keyword that leads to fields, nested and recursive."""
    inner = depth + 1
    kinds = ["properties", "items", "prefixItems", "additional", "pattern", "allOf", "oneOf", "$ref", "none"]
    kind = chance.choice(kinds[: 2 if depth == 0 else 9]) if depth < 4 else "none"
    if kind in ("properties", "additional"):
        names = chance.sample(NAMES, chance.randint(1, 4))
        fields: dict[str, Any] = {"properties": {name: schema(chance, inner) for name in names}}
        return fields | ({"additionalProperties": schema(chance, inner)} if kind == "additional" else {})
    if kind == "pattern":
        return {"patternProperties": {"^x": schema(chance, inner)}}
    if kind in ("allOf", "oneOf", "prefixItems"):
        return {kind: [schema(chance, inner) for _ in range(chance.randint(1, 3))]}
    if kind == "$ref":
        return {"$ref": f"#/components/schemas/{chance.choice('AB')}"}
    return {"items": schema(chance, inner)} if kind == "items" else {}


def content(chance: Random) -> dict[str, Any]:
    kinds = chance.sample(
        ["application/json", "application/a+json", "*/*", "text/plain"], chance.randint(1, 2)
    )
    return {"description": "d", "content": {kind: {"schema": schema(chance)} for kind in kinds}}


def specification(chance: Random) -> Specification:
    statuses = chance.sample(["200", "2XX", "404", "default"], chance.randint(1, 4))
    sent = [one for one in PARAMETERS if chance.random() < 0.6]
    operation: dict[str, Any] = {
        "parameters": [parameter("id", "path", {"type": "integer"}), *sent],
        "responses": {status: content(chance) for status in statuses},
    }
    if chance.random() < 0.8:
        operation["requestBody"] = content(chance)
    components = {name: schema(chance) for name in "AB"}
    return spec({"/x/{id}": {"get": operation, "post": operation}}, components={"schemas": components})


def value(chance: Random, depth: int = 0) -> Any:
    if depth > 3 or chance.random() < 0.1:
        return chance.choice([None, 1, "text", [], {}])
    if chance.random() < 0.3:
        return [value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    names = chance.sample([*NAMES, "x1"], chance.randint(1, 6))
    return {name: value(chance, depth + 1) for name in names}


def sent_body(chance: Random) -> Body:
    if chance.random() < 0.1:
        return EMPTY
    what = chance.choice([b"{", b"\xff", b'"\\ud800"']) if chance.random() < 0.1 else value(chance)
    return body(what, "truncated" if chance.random() < 0.1 else "complete")


def exchange(chance: Random) -> Record:
    record = call(
        chance.choice(["GET", "POST"]),
        chance.choice([*[b"/x/1"] * 8, b"/x/no", b"/other"]),
        chance.choice([200, 200, 201, 404, 500]),
        query=chance.choice([None, b"&".join(chance.sample(PAIRS, chance.randint(0, 4)))]),
        headers=chance.sample(HEADERS, chance.randint(0, 3)),
        sent=sent_body(chance),
        sent_type=chance.choice(KINDS),
        answer=sent_body(chance),
        answer_type=chance.choice(KINDS),
    )
    return replace(record, response=None) if chance.random() < 0.1 else record


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kept", [0, 1, fields.MAX_SHAPES])
def test_the_parts_of_any_exchange_are_those_of_the_reference_each_once(
    seed: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many shapes of objects are kept, and also where they are found a second time."""
    monkeypatch.setattr(fields, "MAX_SHAPES", kept)
    chance = Random(seed)
    described = specification(chance)
    outline = Outline([described])
    for record in 2 * [exchange(chance) for _ in range(20)]:
        judged = Judged.by(described, record)
        parts = parts_of(judged, outline)
        assert set(parts) == parts_by_reference(judged, described)
        assert len(parts) == len(set(parts))


@pytest.mark.parametrize("names", [["a"] * 2, ["n" * (fields.MAX_NAMES_LENGTH + 1)], [*map(str, range(100))]])
def test_names_of_any_length_and_number_are_additional_ones(names: list[str]) -> None:
    tree = FieldTree(spec({}, components={"schemas": {"M": {"additionalProperties": {}}}}), PLACE)
    for _ in range(2):
        assert tree.find(dict.fromkeys(names, 1)) == 1
    for kept in tree.root.shapes:
        assert len(kept) <= fields.MAX_NAMES
        assert sum(map(len, kept)) <= fields.MAX_NAMES_LENGTH


def test_no_more_shapes_are_kept_than_there_is_room_for() -> None:
    tree = FieldTree(spec({}, components={"schemas": {"M": {"properties": {"a": {}}}}}), PLACE)
    for number in range(2 * fields.MAX_SHAPES):
        assert tree.find({"a": 1, f"other-{number}": 2}) == 1
    assert len(tree.root.shapes) == fields.MAX_SHAPES


@pytest.mark.parametrize("found", [{"sku": 1}, {"0": {"sku": 1}}, None, "sku", 1])
def test_what_is_no_array_covers_no_item_of_one(found: Any) -> None:
    items: dict[str, Any] = {"items": {"properties": {"sku": {}}}}
    tree = FieldTree(spec({}, components={"schemas": {"M": {"properties": {"lines": items}}}}), PLACE)
    assert tree.pointers == ["/lines", "/lines/*", "/lines/*/sku"]
    assert tree.find({"lines": found}) == 0b001
    assert tree.find({"lines": [{"sku": 1}]}) == 0b111


@pytest.mark.parametrize("found", [[{"sku": 1}], [1], None, "sku"])
def test_what_is_no_object_covers_no_field_of_one(found: Any) -> None:
    other: dict[str, Any] = {"additionalProperties": {"properties": {"sku": {}}}}
    tree = FieldTree(spec({}, components={"schemas": {"M": other}}), PLACE)
    assert tree.find(found) == 0
    assert tree.find({"line": {"sku": 1}}) == 0b11
