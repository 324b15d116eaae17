from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.deviation import Deviation
from server.analysis.specs.excerpts import Excerpt
from server.analysis.specs.kinds import Kind, Where
from server.ui.marked import body_lines, excerpt_lines

BODY = '{"id":1,"items":[{"sku":"cup","quantity":"two"},{"sku":"jar","quantity":1}],"total":"9"}'


def deviation(pointer: str, kind: Kind = Kind.TYPE, message: str = "not of type integer") -> Deviation:
    return Deviation.at(kind, Where.RESPONSE_BODY, pointer, message)


def notes(*deviations: Deviation) -> dict[str, list[str]]:
    """The notes on BODY by the line they are on."""
    return {line.text.strip(): [*line.notes] for line in body_lines(BODY, deviations) if line.marked}


def test_every_value_that_differs_is_marked_with_what_was_expected_and_found() -> None:
    assert notes(deviation("/items/0/quantity"), deviation("/total")) == {
        '"quantity": "two"': ["not of type integer, but a string"],
        '"total": "9"': ["not of type integer, but a string"],
    }


def test_what_is_missing_is_marked_where_it_should_be() -> None:
    missing = deviation("/customer", Kind.MISSING_FIELD, "a required field is missing")
    assert notes(missing) == {"{": ["customer: a required field is missing"]}
    assert notes(deviation("", Kind.ONE_OF, "none fits")) == {"{": ["none fits"]}


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (["properties", "b"], ["  b:", "    type: integer"]),
        (["required"], ["required:", "- b"]),
        (["properties", "c"], []),
        ([], []),
    ],
)
def test_the_entry_of_an_excerpt_that_is_meant_is_marked(marked: list[str], expected: list[str]) -> None:
    node: Any = {
        "required": ["b"],
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "type": "object",
    }
    lines = excerpt_lines(Excerpt("", node, marked))
    assert [line.text for line in lines if line.marked] == expected
