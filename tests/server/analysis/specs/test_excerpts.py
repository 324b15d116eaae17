from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.excerpts import of_deviation, of_operation
from server.analysis.specs.load import understand
from tests.server.analysis.specs.spec_calls import document, operation

LINE = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}
LINES = {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}
ITEM = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "lines": LINES}}
ANSWER = {
    "description": "",
    "headers": {"X-Page": {"schema": {"type": "integer"}}},
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
}
LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
DOCUMENT = document(
    {"/x": {"get": operation(parameters=[LIMIT], responses={"200": ANSWER})}},
    components={"schemas": {"Item": ITEM, "Line": LINE}},
)
ITEM_PLACE, LINE_PLACE = "/components/schemas/Item", "/components/schemas/Line"
GET = "/paths/~1x/get"


@pytest.mark.parametrize(
    ("kind", "where", "place", "expected"),
    [
        ("type", "response.body", "/id", (ITEM_PLACE, ["properties", "id"])),
        ("type", "response.body", "", (ITEM_PLACE, ["type"])),
        ("missing-field", "response.body", "/id", (ITEM_PLACE, ["properties", "id"])),
        ("type", "response.body", "/lines/*/sku", (LINE_PLACE, ["properties", "sku"])),
        ("type", "response.body", "/lines/*", (f"{ITEM_PLACE}/properties/lines", ["items"])),
        ("unknown-field", "response.body", "/more", (ITEM_PLACE, ["properties"])),
        ("unknown-field", "response.body", "/lines/*/more", (LINE_PLACE, ["properties"])),
        ("type", "query", "limit", (f"{GET}/parameters/0", [])),
        ("unknown-parameter", "query", "colour", (GET, ["parameters"])),
        ("unknown-status", "status", "500", (GET, ["responses"])),
        ("type", "response.header", "x-page", (f"{GET}/responses/200", ["headers", "X-Page"])),
    ],
)
def test_the_part_that_a_deviation_is_from_is_found_and_marked(
    kind: str, where: str, place: str, expected: tuple[str, list[str]]
) -> None:
    (found,) = of_deviation(understand(DOCUMENT), DeviationIdentity("GET /x", kind, where, place), None)
    assert (found.place, [*found.marked]) == expected


def test_what_is_not_described_has_no_excerpt() -> None:
    unknown = DeviationIdentity("GET /y", "unknown-path", "path", "")
    assert of_deviation(understand(DOCUMENT), unknown, None) == []
    assert of_operation(understand(DOCUMENT), "GET /y") is None


def test_an_operation_is_shown_as_it_is_written() -> None:
    found = of_operation(understand(DOCUMENT), "GET /x")
    assert found is not None
    node: Any = DOCUMENT["paths"]["/x"]["get"]
    assert (found.place, found.node) == (GET, node)
