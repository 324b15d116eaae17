"""Decisions on a document hold whatever traffic follows."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.rebuild.decisions import BadDecision, fixed, of_templates, read
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from tests.server.analysis.rebuild.traffic import call, learnt, validate


def decided(learner: Learner, *plain: dict[str, Any]) -> dict[str, Any]:
    decisions = [read(one) for one in plain]
    learner.decide(of_templates(decisions))
    found = fixed(document(learner, DocumentOptions("Shop", evidence=False)), decisions)
    validate(found)
    return found


def test_paths_are_merged_split_renamed_and_retyped() -> None:
    learner = learnt(
        [call(path=f"/users/{i}", answer={"id": i}) for i in range(9)]
        + [call(path=f"/shelves/{name}", answer=[]) for name in ("top", "low")]
    )
    merged = {"kind": "merge", "place": ["shelves"]}
    assert len(decided(learner, merged)["paths"]) == 2
    found = decided(
        learner,
        merged,
        {"kind": "split", "place": ["shelves"], "word": "top"},
        {"kind": "rename", "place": ["shelves"], "name": "shelf"},
        {"kind": "rename", "place": ["users"], "name": "login"},
        {"kind": "retype", "place": ["users"], "type": "string"},
    )
    assert {*found["paths"]} == {"/users/{login}", "/shelves/top", "/shelves/{shelf}"}
    (parameter,) = found["paths"]["/users/{login}"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "string"}


@pytest.mark.parametrize(
    ("where", "pointer", "place"),
    [
        ("query", "page", ("parameters", 0, "schema")),
        (
            "request.body",
            "/name",
            ("requestBody", "content", "application/json", "schema", "properties", "name"),
        ),
        (
            "response.body",
            "/items/*/id",
            (
                "responses",
                "200",
                "content",
                "application/json",
                "schema",
                "properties",
                "items",
                "items",
                "properties",
                "id",
            ),
        ),
    ],
)
def test_a_fix_replaces_what_was_learnt_of_one_place(
    where: str, pointer: str, place: tuple[Any, ...]
) -> None:
    answer = {"items": [{"id": 1, "name": "x"}]}
    learner = learnt([call("POST", "/users?page=1", answer=answer, sent={"name": "x"})] * 3)
    fix = {"kind": "fix", "operation": "POST /users", "where": where, "pointer": pointer}
    node: Any = decided(learner, {**fix, "schema": {"enum": ["fixed"]}})["paths"]["/users"]["post"]
    for step in place:
        node = node[step]
    assert node == {"enum": ["fixed"]}


def test_a_fix_reaches_into_components() -> None:
    user = {"id": 1, "name": "x"}
    learner = learnt([call(answer=[user]), call(path="/users/1", answer=user)] * 10)
    fix = {"kind": "fix", "operation": "GET /users/{}", "where": "response.body", "pointer": "/id"}
    found = decided(learner, {**fix, "schema": {"type": "string"}})
    (schema,) = found["components"]["schemas"].values()
    assert schema["properties"]["id"] == {"type": "string"}


@pytest.mark.parametrize(
    "plain",
    [
        {"kind": "split", "place": ["users"]},
        {"kind": "rename", "place": ["users"], "name": "a}b"},
        {"kind": "fix", "operation": "GET /", "where": "query", "pointer": "q", "schema": {"$ref": "#/x"}},
        {"kind": "fix", "operation": "GET /", "where": "status", "pointer": "", "schema": {}},
        {},
    ],
)
def test_what_makes_no_sense_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(BadDecision):
        read(plain)
