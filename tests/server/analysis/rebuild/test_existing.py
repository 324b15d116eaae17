"""New facts are added to an existing document; its content stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.existing import extended
from server.analysis.rebuild.given_paths import templates_of
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.modernized import modernized
from tests.server.analysis.rebuild.test_document import calls
from tests.server.analysis.rebuild.traffic import call, deviations, learnt, rebuilt, validate

NEW = {"unknown-path", "unknown-status", "unknown-parameter", "unknown-field", "unknown-content-type"}


def extension(existing: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    learner = Learner()
    learner.set_given(templates_of(existing))
    for one in records:
        learner.learn(one)
    found = extended(existing, document(learner, DocumentOptions("Shop", evidence=False)))
    validate(found)
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(calls(), max_size=6), st.lists(calls(), max_size=6))
def test_what_was_new_is_no_deviation_any_more(some: list[Record], others: list[Record]) -> None:
    accepted = [one for one in others if one.response and one.response.status < 400]
    found = extension(rebuilt(some), some + accepted)
    assert not {kind for kind, _, _ in deviations(found, accepted)} & NEW


def test_a_path_beside_one_whose_word_is_like_a_value_is_new() -> None:
    existing = rebuilt([])
    existing["paths"]["/1/orders"] = {"get": {"responses": {"200": {"description": "OK"}}}}
    records = [call(path=f"/{version}/orders") for version in (1, 2)]
    found = extension(existing, records)
    assert {*found["paths"]} == {"/1/orders", "/2/orders"}
    assert deviations(found, records) == []


def test_a_document_that_says_it_all_stays_as_it_is() -> None:
    records = [call(path=f"/users/{i}?full=true", answer={"id": i}) for i in range(10)]
    existing = rebuilt(records)
    assert extension(existing, records) == existing


def test_fields_are_added_within_references_lists_and_alternatives() -> None:
    def schema(name: str) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{name}"}

    content = {"application/json": {"schema": {"type": "array", "items": schema("Any")}}}
    user = {"type": "object", "properties": {"id": {"type": "integer"}}}
    existing = rebuilt([])
    existing["paths"]["/users"] = {"get": {"responses": {"200": {"description": "OK", "content": content}}}}
    existing["components"] = {"schemas": {"Any": {"allOf": [schema("User")]}, "User": user}}
    records = [call(answer=[{"id": 1, "name": "x"}])]
    before = copy.deepcopy(existing)
    found = extension(existing, records)
    assert existing == before
    assert deviations(found, records) == []
    assert found["components"]["schemas"]["User"] == user


def test_what_lies_outside_the_base_path_says_so() -> None:
    existing = rebuilt([call(path="/users", answer=[])])
    existing["servers"] = [{"url": "https://shop.example/api"}]
    outside = call(path="/checks/7", answer={"up": True})
    inside = [call(path=f"/api/users?page={i}", answer=[{"id": i}]) for i in range(9)]
    more = [call(path=f"/checks/{i}", answer={"up": True}) for i in range(9)]
    found = extension(existing, [*inside, *more, outside])
    assert {*found["paths"]} == {"/users", "/checks/{checkId}"}
    assert found["paths"]["/checks/{checkId}"]["servers"] == [{"url": "/"}]
    assert deviations(found, [outside]) == []


def test_a_described_parameter_that_holds_slashes_owns_what_lies_below_it() -> None:
    described = {"name": "ref", "in": "path", "required": True, "schema": {"type": "string"}}
    existing = rebuilt([])
    existing["components"] = {"parameters": {"Ref": {**described, "x-multi-segment": True}}}
    item = {"get": {"responses": {"200": {"description": "OK"}}}}
    existing["paths"]["/refs/{ref}"] = {"parameters": [{"$ref": "#/components/parameters/Ref"}], **item}
    records = [call(path=f"/refs/heads/{i}") for i in range(9)]
    assert extension(existing, records) == existing
    learner = learnt(records)
    learner.set_given(templates_of(existing))
    assert deviations(document(learner, DocumentOptions("Shop")), records) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 1},
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": False}, {"type": "integer", "minimum": 1}),
        (
            {"nullable": True, "allOf": [{"$ref": "#/a"}]},
            {"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#/a"}]}]},
        ),
        (
            {"properties": {"default": {"type": "string", "nullable": True}}},
            {"properties": {"default": {"type": ["string", "null"]}}},
        ),
        ({"$ref": "#/a", "type": "string", "description": "a"}, {"$ref": "#/a", "description": "a"}),
        (
            {"type": "string", "example": {"nullable": True}},
            {"type": "string", "example": {"nullable": True}},
        ),
    ],
)
def test_openapi_3_0_is_written_anew_as_3_1(old: dict[str, Any], new: dict[str, Any]) -> None:
    found: Any = modernized(
        {"openapi": "3.0.3", "info": {}, "paths": {}, "components": {"schemas": {"A": old}}}
    )
    assert found["components"]["schemas"]["A"] == new
    assert found["openapi"].startswith("3.1")


def test_no_name_of_the_documents_own_hides_a_schema_from_the_upgrade() -> None:
    old: Any = {"type": "string", "nullable": True}
    answer = {"description": "No.", "content": {"x-shop/thing": {"schema": old}}}
    paths: Any = {"/a": {"get": {"responses": {"default": answer}}}}
    found: Any = modernized({"openapi": "3.0.3", "info": {}, "paths": paths})
    media = found["paths"]["/a"]["get"]["responses"]["default"]["content"]["x-shop/thing"]
    assert media["schema"] == {"type": ["string", "null"]}
