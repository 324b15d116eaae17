"""Breaking changes, and whether a call uses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.analysis.json import JsonObject
from server.analysis.specs.kinds import Where
from server.analysis.specs.load import load
from server.analysis.tryout.tryout import Difference
from server.analysis.tryout.usage import breaking_changes
from server.analysis.tryout.written_out import written_out

LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
OK: JsonObject = {"200": {"description": "ok"}}


def document(paths: Any, **others: Any) -> JsonObject:
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths, **others}


def test_a_change_is_used_if_a_call_breaks_at_its_part() -> None:
    present = document({
        "/users/{id}": {"get": {"parameters": [LIMIT], "responses": OK}, "delete": {"responses": OK}},
        "/old": {"get": {"responses": OK}},
    })  # fmt: skip
    proposed = document({"/users/{user}": {"get": {"responses": OK}}})
    broken = [
        Difference("GET /api/users/{id}", "unknown-parameter", Where.QUERY, "limit"),
        Difference("GET /api/old", "unknown-path", Where.PATH, ""),
    ]
    assert [
        (one["operation"], one["part"], one["used"]) for one in breaking_changes(present, proposed, broken)
    ] == [
        ("GET /old", "", True),
        ("GET /users/{}", "query limit", True),
        ("DELETE /users/{}", "", False),
    ]


@pytest.mark.parametrize(
    ("part", "difference", "used"),
    [
        ("response", Difference("GET /x", "type", Where.RESPONSE_BODY, "/a"), True),
        ("response", Difference("POST /x", "type", Where.RESPONSE_BODY, "/a"), False),
        ("response", Difference("GET /x", "missing-field", Where.REQUEST_BODY, "/a"), False),
    ],
)
def test_a_change_of_a_response_is_used_by_calls_of_the_operation_that_are_answered_so(
    part: str, difference: Difference, used: bool
) -> None:
    def answering(kind: str) -> JsonObject:
        schema = {"type": "object", "properties": {"a": {"type": kind}}}
        content = {"application/json": {"schema": schema}}
        return document({"/x": {"get": {"responses": {"200": {"description": "ok", "content": content}}}}})

    (change,) = breaking_changes(answering("string"), answering("integer"), [difference])
    assert (change["part"].partition(" ")[0], change["used"]) == (part, used)


def test_references_shared_parameters_and_swagger_are_written_out() -> None:
    referring = document(
        {
            "/x": {
                "parameters": [{"$ref": "#/components/parameters/limit"}],
                "post": {
                    "requestBody": {"$ref": "#/components/requestBodies/b"},
                    "responses": {"200": {"$ref": "#/components/responses/r"}},
                },
            }
        },
        security=[{"key": []}],
        components={
            "parameters": {"limit": LIMIT},
            "requestBodies": {"b": {"content": {}}},
            "responses": {"r": {"description": "ok"}},
        },
    )
    operation: Any = written_out(referring)["paths"]
    assert operation["/x"]["post"] == {
        "security": [{"key": []}],
        "parameters": [LIMIT],
        "requestBody": {"content": {}},
        "responses": {"200": {"description": "ok"}},
    }
    limit: JsonObject = {"name": "limit", "in": "query", "type": "integer"}
    swagger: JsonObject = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/x": {"get": {"parameters": [limit], "responses": OK}}},
    }
    found: Any = written_out(load(json.dumps(swagger).encode()).document)
    assert found["paths"]["/x"]["get"]["parameters"] == [LIMIT]
    (change,) = breaking_changes(swagger, document({"/x": {"get": {"responses": OK}}}), [])
    assert change["part"] == "query limit"


def test_names_of_headers_are_compared_without_case() -> None:
    tenant: JsonObject = {"name": "X-Tenant", "in": "header", "required": True, "schema": {}}
    proposed = document({"/x": {"get": {"parameters": [tenant], "responses": OK}}})
    broken = [Difference("GET /x", "missing-parameter", Where.HEADER, "x-tenant")]
    (change,) = breaking_changes(document({"/x": {"get": {"responses": OK}}}), proposed, broken)
    assert (change["part"], change["used"]) == ("header X-Tenant", True)
