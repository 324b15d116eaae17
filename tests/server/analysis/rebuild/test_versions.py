"""Differences between two documents, and which of them break callers."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.rebuild.versions import comparable, diff, next_version


def document(**operation: Any) -> dict[str, Any]:
    """One operation, POST /users/{id}, with this request and response."""
    said = {"responses": {"200": {"description": "OK"}}, **operation}
    return {
        "openapi": "3.1.1",
        "info": {"title": "Shop", "version": "1.0.0"},
        "paths": {"/users/{id}": {"post": said}},
        "components": {"schemas": {"Id": {"type": "integer"}, "Name": {"type": "string"}}},
    }


def sent(schema: Any, required: bool = False) -> dict[str, Any]:
    return document(requestBody={"content": {"application/json": {"schema": schema}}, "required": required})


def answered(schema: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return document(responses={"200": {"description": "OK", "content": content}})


def asked(*parameters: dict[str, Any]) -> dict[str, Any]:
    return document(parameters=[{"in": "query", "name": "q", "schema": {}, **one} for one in parameters])


def fields(*names: str, required: tuple[str, ...] = (), **types: Any) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in names} | types
    return {"type": "object", "properties": properties, "required": list(required)}


INTEGER, TEXT = {"type": "integer"}, {"type": "string"}
ID, NAME = ({"$ref": f"#/components/schemas/{name}"} for name in ("Id", "Name"))


@pytest.mark.parametrize(
    ("old", "new", "breaking"),
    [
        (asked(), asked({}), False),
        (asked(), asked({"required": True}), True),
        (asked({}), asked({"required": True}), True),
        (asked({"required": True}), asked({}), False),
        (asked({}), asked(), True),
        (asked({"schema": INTEGER}), asked({"schema": {"type": "number"}}), False),
        (asked({"schema": TEXT}), asked({"schema": INTEGER}), True),
        (asked({}), asked({"style": "pipeDelimited"}), True),
        (document(), sent(TEXT), False),
        (document(), sent(TEXT, required=True), True),
        (sent(TEXT), sent(TEXT, required=True), True),
        (sent(fields("a")), sent(fields("a", "b")), False),
        (sent(fields("a")), sent(fields("a", "b", required=("b",))), True),
        (sent(fields("a", "b")), sent(fields("a")), True),
        (sent(ID), sent(NAME), True),
        (answered(fields("a", required=("a",))), answered(fields("a", "b", required=("a",))), False),
        (answered(fields("a", required=("a",))), answered(fields("a")), True),
        (answered(fields("a")), answered(fields("a", required=("a",))), False),
        (answered(fields(a=INTEGER)), answered(fields(a={"type": ["integer", "null"]})), True),
        (
            answered({"type": "string", "enum": ["a", "b"]}),
            answered({"type": "string", "enum": ["a"]}),
            False,
        ),
        (answered({"type": "string", "enum": ["a"]}), answered({"type": "string", "enum": ["a", "b"]}), True),
        (answered({"type": "string", "format": "date"}), answered(TEXT), True),
        (answered(ID), answered(NAME), True),
        (document(), answered(TEXT), False),
        (answered(TEXT), document(), True),
        (document(), document(deprecated=True), False),
        (document(), document(security=[{"basic": []}]), True),
        (document(security=[{"basic": []}]), document(security=[{"basic": []}, {}]), False),
    ],
)
def test_a_change_breaks_whoever_relied_on_what_was(
    old: dict[str, Any], new: dict[str, Any], breaking: bool
) -> None:
    (change,) = diff(old, new)
    assert change.operation == "POST /users/{}"
    assert change.breaking is breaking


def test_a_recursive_schema_is_compared() -> None:
    def tree(kind: str) -> dict[str, Any]:
        found = answered({"$ref": "#/components/schemas/Tree"})
        below = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
        found["components"]["schemas"]["Tree"] = fields(id={"type": kind}, below=below)
        return found

    assert diff(tree("integer"), tree("integer")) == []
    assert [change.breaking for change in diff(tree("integer"), tree("string"))] == [True]


def test_operations_come_and_go_and_the_names_of_path_parameters_are_free() -> None:
    old, new = document(), document()
    new["paths"]["/users/{login}"] = new["paths"].pop("/users/{id}")
    assert diff(old, new) == []
    new["paths"]["/carts"] = {"get": {"responses": {}}}
    assert [(change.what, change.breaking) for change in diff(old, new)] == [("added", False)]
    assert [(change.what, change.breaking) for change in diff(new, old)] == [("removed", True)]


def test_evidence_and_examples_are_no_difference() -> None:
    old, new = answered({"type": "string"}), answered({"type": "string", "examples": ["x"]})
    new["paths"]["/users/{id}"]["post"]["x-spectap"] = {"count": 7}
    assert comparable(old) == comparable(new)
    assert diff(old, new) == []


def test_a_breaking_change_makes_a_major_version() -> None:
    assert next_version("1.4.0", diff(answered(TEXT), answered(INTEGER))) == "2.0.0"
    assert next_version("1.4.0", diff(document(), document(deprecated=True))) == "1.5.0"
    assert next_version("0.4.0", diff(answered(TEXT), answered(INTEGER))) == "0.5.0"


def of_paths(*paths: str) -> dict[str, Any]:
    said = {"responses": {"200": {"description": "OK"}}}
    return {"openapi": "3.1.1", "info": {}, "paths": {path: {"get": said} for path in paths}}


def test_a_template_that_gives_words_back_breaks_nobody() -> None:
    changes = diff(of_paths("/{name}", "/{a}/{b}"), of_paths("/health", "/login", "/{a}/{b}"))
    assert [(one.operation, one.what, one.breaking) for one in changes] == [
        ("GET /health", "added", False),
        ("GET /login", "added", False),
        ("GET /{}", "came apart into GET /health, GET /login", False),
    ]


def test_a_path_that_is_gone_breaks_those_who_called_it() -> None:
    changes = diff(of_paths("/{name}", "/health"), of_paths("/health", "/{name}/more"))
    assert [one for one in changes if one.breaking and one.what == "removed"] != []
