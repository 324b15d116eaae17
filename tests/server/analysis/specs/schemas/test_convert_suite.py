"""JSON Schema's own test suite on converted schemas: 2020-12 as OpenAPI 3.1, draft 4 as 3.0 and 2.0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.analysis.specs.kinds import Kind
from server.analysis.specs.load import load
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import answering, body, call

SUITE = Path(__file__).parents[4] / "data/json-schema"
FOREIGN = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "id")
ROOT = "#/components/schemas/S"


def placed(node: Any, root: str) -> Any:
    """The schema with references to its root changed to its place in a document."""
    if isinstance(node, list):
        return [placed(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {
        key: value if key in ("enum", "const") else placed(value, root)
        for key, value in node.items()
        if key != "$schema"
    }
    if isinstance(moved.get("$ref"), str) and moved["$ref"].startswith("#"):
        moved["$ref"] = root + moved["$ref"][1:]
    return moved


def is_foreign(node: Any) -> bool:
    """Whether a schema names itself or others by URL, which specifications do not support."""
    if isinstance(node, list):
        return any(map(is_foreign, node))
    if not isinstance(node, dict):
        return False
    reference = node.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        return True
    own = any(isinstance(node.get(name), (str, dict)) for name in FOREIGN if name != "id")
    return own or any(is_foreign(value) for key, value in node.items() if key not in ("enum", "const"))


def cases(draft: str) -> Iterator[Any]:
    for path in sorted((SUITE / draft).glob("*.json")):
        for i, case in enumerate(json.loads(path.read_text())):
            if not is_foreign(case["schema"]):
                yield pytest.param(case, id=f"{path.stem}-{i}")


def disagreements(loaded: Specification, case: Any) -> list[str]:
    """Names of tests with another result than the suite's. An unknown result is not a deviation."""
    found = []
    for one in case["tests"]:
        judgement = loaded.match(call(answer=body(one["data"])))
        conforms = all(deviation.kind is Kind.UNKNOWN_FIELD for deviation in judgement.deviations)
        if conforms != one["valid"] or judgement.why is not None:
            found.append(one["description"])
    return found


@pytest.mark.parametrize("case", [*cases("draft2020-12")])
def test_openapi_3_1_agrees_with_the_suite(case: Any) -> None:
    loaded = answering({"$ref": ROOT}, "3.1.0", S=placed(case["schema"], ROOT))
    assert disagreements(loaded, case) == []


@pytest.mark.parametrize("case", [*cases("draft4")])
def test_openapi_3_0_agrees_with_the_suite(case: Any) -> None:
    loaded = answering({"$ref": ROOT}, "3.0.3", S=placed(case["schema"], ROOT))
    assert disagreements(loaded, case) == []


@pytest.mark.parametrize("case", [*cases("draft4")])
def test_swagger_2_0_agrees_with_the_suite(case: Any) -> None:
    root = "#/definitions/S"
    answer = {"200": {"description": "ok", "schema": {"$ref": root}}}
    document = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "produces": ["application/json"],
        "paths": {"/x": {"get": {"responses": answer}}},
        "definitions": {"S": placed(case["schema"], root)},
    }
    assert disagreements(load(json.dumps(document).encode()), case) == []


def test_the_suite_is_there() -> None:
    assert len([*cases("draft2020-12")]) > 250
    assert len([*cases("draft4")]) > 60
