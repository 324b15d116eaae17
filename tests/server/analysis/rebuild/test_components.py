"""What is alike by its keys alone is not one component: answers of one resource do not pass as another's."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from agent.wire import Record
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.load import load
from tests.server.analysis.rebuild.traffic import call, rebuilt

RESOURCES: dict[str, list[Any]] = {
    "users": [{"id": i, "name": f"n{i}", "mail": f"u{i}@example.com"} for i in range(20)],
    "products": [{"id": i, "name": f"p{i}", "price": i / 4} for i in range(20)],
    "orders": [{"id": i, "name": f"o{i}", "lines": [{"sku": f"s{i}"}]} for i in range(20)],
    "carts": [{"id": i, "name": f"c{i}", "lines": [{"sku": i}]} for i in range(20)],
    "regions": [{"id": ("AF", "EU", "SA")[i % 3], "name": f"r{i}"} for i in range(30)],
    "levels": [{"id": ("LOW", "MID", "TOP")[i % 3], "name": f"l{i}"} for i in range(30)],
    "visits": [{"id": f"2026-01-{i + 1:02}", "name": f"v{i}"} for i in range(20)],
    "keys": [{"id": f"00000000-0000-4000-8000-{i:012}", "name": f"k{i}"} for i in range(20)],
}
"""Resources with like keys: they differ in a field, in their items, in an enum or in a format."""


def page(items: list[Any]) -> dict[str, Any]:
    return {"items": items, "next": None, "total": len(items)}


def pages(resource: str) -> list[dict[str, Any]]:
    """Enough pages for every statement: each has ten items."""
    items = RESOURCES[resource]
    return [page((items * 2)[at : at + 10]) for at in range(len(items))]


TRAFFIC: list[Record] = [
    call(path=f"/{resource}", answer=one) for resource in RESOURCES for one in pages(resource)
] + [
    call(path=f"/{resource}/{number}", answer=one)
    for resource, items in RESOURCES.items()
    for number, one in enumerate(items)
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return rebuilt(TRAFFIC)


@pytest.mark.parametrize(("asked", "answered"), [*permutations(RESOURCES, 2)])
def test_no_resource_passes_as_another(document: dict[str, Any], asked: str, answered: str) -> None:
    specification = load(json.dumps(document).encode())
    swapped = [
        call(path=f"/{asked}", answer=pages(answered)[0]),
        call(path=f"/{asked}/7", answer=RESOURCES[answered][3]),
    ]
    assert [specification.match(one).verdict for one in swapped] == [Verdict.DEVIATING] * 2


def test_what_taught_a_component_conforms_to_it(document: dict[str, Any]) -> None:
    specification = load(json.dumps(document).encode())
    assert {specification.match(one).verdict for one in TRAFFIC} == {Verdict.CONFORMING}


def test_an_item_and_those_of_its_list_are_one_component_named_after_the_path(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    assert {"User", "Product", "Order", "Cart", "Region", "Level", "Visit", "Key"} <= schemas.keys()


def test_no_component_is_unused(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert [name for name in document["components"]["schemas"] if f'schemas/{name}"' not in text] == []
