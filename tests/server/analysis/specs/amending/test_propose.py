"""For each kind of deviation there is a proposal under which the call conforms."""

from __future__ import annotations

from typing import Any

import pytest

from agent.wire import Record
from server.analysis.specs.amending.patches import Unfit, applied
from server.analysis.specs.amending.propose import proposal
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.kinds import Kind
from server.analysis.specs.load import understand
from tests.server.analysis.specs.spec_calls import body, call, document, operation, parameter

TELLING = ReportingPolicy(headers=True)


def reading(text: dict[str, Any]) -> Any:
    return understand(text, TELLING)


def changed(text: Any, record: Record) -> tuple[list[str], list[str]]:
    """The kinds of deviations found, and the kinds left after accepting all proposals."""
    assert record.request is not None
    template = f"{record.request.method} {record.request.path.decode()}"
    first = [one.kind.value for one in reading(text).match(record).deviations]
    for _ in range(len(first)):
        judgement = reading(text).match(record)
        for one in judgement.deviations:
            key = judgement.operation or template
            changes = proposal(one.identity(key), text, reading, record)
            if changes is not None:
                text = applied(text, changes)
                break
    return first, [one.kind.value for one in reading(text).match(record).deviations]


def answering(schema: Any, openapi: str = "3.1.0", **more: Any) -> Any:
    content = {"content": {"application/json": {"schema": schema}}}
    item = {
        "get": operation(responses={"200": {"description": "", **content}}),
        "post": operation(requestBody=content, responses={"200": {"description": "", **more}}),
    }
    return document({"/x": item}, openapi, components={"schemas": {"S": {"type": "integer"}}})


def getting(**said: Any) -> Any:
    return document({"/x": {"get": operation(**said)}})


NESTED = {
    "type": "array",
    "items": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/S"}}},
}
KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}
HEADERS = {"200": {"description": "", "headers": {"X-A": {"required": True, "schema": {"type": "integer"}}}}}

CASES: list[tuple[Kind, Any, Record]] = [
    (Kind.UNKNOWN_PATH, getting(), call(path=b"/y/7")),
    (Kind.UNKNOWN_METHOD, getting(), call("DELETE")),
    (Kind.UNKNOWN_STATUS, getting(), call(status=404)),
    (Kind.UNKNOWN_CONTENT_TYPE, answering({}), call(answer=body(b"x"), answer_type="text/odd")),
    (Kind.UNKNOWN_CONTENT_TYPE, answering({}), call("POST", sent=body(b"x"), sent_type="text/odd")),
    (Kind.UNKNOWN_PARAMETER, getting(), call(query=b"page=1")),
    (Kind.UNKNOWN_PARAMETER, getting(parameters=[]), call(query=b"page=1")),
    (Kind.UNKNOWN_HEADER, getting(), call(headers=[(b"x-odd", b"1")])),
    (Kind.UNKNOWN_HEADER, getting(), call(answer_headers=[(b"x-odd", b"1")])),
    (Kind.UNKNOWN_FIELD, answering(NESTED), call(answer=body([{"a": 1}, {"b/c": "x"}]))),
    (Kind.UNKNOWN_BODY, getting(), call(sent=body({"a": 1}))),
    (
        Kind.FORBIDDEN_FIELD,
        answering({"type": "object", "additionalProperties": False}),
        call(answer=body({"z": 1})),
    ),
    (Kind.MISSING_PARAMETER, getting(parameters=[parameter("q", "query", {}, required=True)]), call()),
    (Kind.MISSING_HEADER, getting(responses=HEADERS), call()),
    (Kind.MISSING_FIELD, answering({"required": ["a", "b"]}), call(answer=body({"a": 1}))),
    (Kind.MISSING_BODY, answering({"type": "object"}), call()),
    (
        Kind.MISSING_BODY,
        document({"/x": {"post": operation(requestBody={"required": True, "content": {}})}}),
        call("POST"),
    ),
    (Kind.TYPE, answering(NESTED), call(answer=body([{"a": "x"}]))),
    (Kind.TYPE, answering(NESTED, "3.0.3"), call(answer=body([{"a": "x"}]))),
    (Kind.TYPE, answering(NESTED, "3.0.3"), call(answer=body([{"a": None}]))),
    (Kind.TYPE, getting(parameters=[parameter("q", "query", {"type": "integer"})]), call(query=b"q=x")),
    (Kind.TYPE, getting(responses=HEADERS), call(answer_headers=[(b"x-a", b"x")])),
    (Kind.FORMAT, answering({"type": "string", "format": "uuid"}), call(answer=body("x"))),
    (Kind.ENUM, answering({"enum": ["a"]}), call(answer=body("b"))),
    (Kind.ENUM, answering({"const": "a"}), call(answer=body("b"))),
    (Kind.BOUNDS, answering({"type": "integer", "maximum": 5}), call(answer=body(6))),
    (Kind.BOUNDS, answering({"type": "integer", "format": "int32"}), call(answer=body(2**40))),
    (Kind.PATTERN, answering({"type": "string", "pattern": "^a"}), call(answer=body("b"))),
    (
        Kind.ONE_OF,
        answering({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}),
        call(answer=body("x")),
    ),
    (
        Kind.READ_ONLY,
        answering({"properties": {"a": {"readOnly": True}}}),
        call("POST", sent=body({"a": 1})),
    ),
    (Kind.WRITE_ONLY, answering({"properties": {"a": {"writeOnly": True}}}), call(answer=body({"a": 1}))),
    (
        Kind.SECURITY_UNMET,
        document(
            {"/x": {"get": operation()}}, security=[{"k": []}], components={"securitySchemes": {"k": KEY}}
        ),
        call(),
    ),
]


@pytest.mark.parametrize(
    ("kind", "text", "record"),
    [pytest.param(*case, id=f"{i}-{case[0]}") for i, case in enumerate(CASES)],
)
def test_under_what_is_proposed_the_call_conforms(kind: Kind, text: Any, record: Record) -> None:
    first, left = changed(text, record)
    assert kind in first
    assert left == []


def test_each_kind_has_a_proposal_or_is_what_no_document_can_describe() -> None:
    malformed = {Kind.MALFORMED_BODY, Kind.MALFORMED_PARAMETER}
    unclear = {Kind.UNKNOWN_ANSWER, Kind.UNKNOWN_CREDENTIALS}  # one call does not show what they mean
    assert {kind for kind, _, _ in CASES} == set(Kind) - malformed - unclear
    assert changed(answering({}), call(answer=body(b"{"))) == (["malformed-body"], ["malformed-body"])


SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "t", "version": "1"},
    "produces": ["application/json"],
    "consumes": ["application/json"],
    "paths": {
        "/x": {
            "parameters": [{"name": "q", "in": "query", "type": "integer", "required": True}],
            "get": {"responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/A"}}}},
            "post": {"responses": {"200": {"description": ""}}},
        }
    },
    "definitions": {"A": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("record", "kinds"),
    [
        (call(query=b"q=x", answer=body({"n": 1})), ["type"]),
        (call(answer=body({"n": 1})), ["missing-parameter"]),
        (call(query=b"q=1", answer=body({"n": None, "z": 1})), ["type", "unknown-field"]),
        (call(query=b"q=1", answer=body(b"x"), answer_type="text/odd"), ["unknown-content-type"]),
        (call(query=b"q=1"), ["missing-body"]),
        (call("POST", query=b"q=1&p=2", sent=body({})), ["unknown-body", "unknown-parameter"]),
        (call(path=b"/y/1"), ["unknown-path"]),
        (call(query=b"q=1", status=404), ["unknown-status"]),
    ],
)
def test_swagger_is_changed_in_its_own_words(record: Record, kinds: list[str]) -> None:
    first, left = changed(SWAGGER, record)
    assert (sorted(first), left) == (kinds, [])


def test_without_a_sample_the_first_change_that_leaves_a_good_document_is_taken() -> None:
    text = answering({"type": "integer", "maximum": 5})
    changes = proposal(DeviationIdentity("GET /x", "bounds", "response.body", ""), text, reading, None)
    at = "/paths/~1x/get/responses/200/content/application~1json/schema/maximum"
    assert changes == ({"op": "remove", "path": at},)


def test_a_shadow_becomes_a_path_with_distinct_parameters() -> None:
    found = DeviationIdentity("GET /a/{id}/b/{id}", "unknown-path", "path", "")
    changes = proposal(found, getting(), reading, call(path=b"/a/1/b/2"))
    assert changes is not None
    assert changes[0]["path"] == "/paths/~1a~1{id}~1b~1{id2}"


@pytest.mark.parametrize(
    "change",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/a/9", "value": 1},
        {"op": "add", "path": "/a/-/x", "value": 1},
        {"op": "add", "path": "/b/c/d", "value": 1},
        {"op": "add", "path": "/s/x", "value": 1},
        {"op": "remove", "path": "/a/-"},
    ],
)
def test_a_patch_that_does_not_fit_is_refused_and_changes_nothing(change: Any) -> None:
    text: Any = {"a": [1], "b": {}, "s": "x"}
    with pytest.raises(Unfit):
        applied(text, [change])
    assert text == {"a": [1], "b": {}, "s": "x"}


def test_a_patch_leaves_its_document_as_it_was() -> None:
    text: Any = {"a": [1, 2], "b/c": {"d": 1}}
    changes: list[Any] = [
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "add", "path": "/a/0", "value": 0},
        {"op": "remove", "path": "/b~1c/d"},
        {"op": "replace", "path": "/a/1", "value": 9},
    ]
    assert applied(text, changes) == {"a": [0, 9, 2, 3], "b/c": {}}
    assert text == {"a": [1, 2], "b/c": {"d": 1}}
