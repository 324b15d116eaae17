"""Each kind of deviation with a call that shows it, and a similar call that does not."""

from __future__ import annotations

from typing import Any

import pytest

from agent.wire import Body
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.kinds import Kind
from server.analysis.specs.model import Judgement
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import (
    EMPTY,
    answering,
    body,
    call,
    found,
    operation,
    parameter,
    spec,
    verdict_of_sending,
    verdict_on,
)

JSON = {"application/json": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}}


def get(**said: Any) -> Specification:
    return spec({"/x": {"get": operation(**said)}})


def query(schema: Any, raw: bytes, **said: Any) -> Judgement:
    return get(parameters=[parameter("q", "query", schema, **said)]).match(call(query=raw))


CASES: dict[Kind, list[tuple[Judgement, list[tuple[str, str, str]]]]] = {
    Kind.UNKNOWN_PATH: [
        (get().match(call(path=b"/y")), [("unknown-path", "path", "")]),
        (get().match(call(path=b"/x")), []),
    ],
    Kind.UNKNOWN_METHOD: [
        (get().match(call("DELETE")), [("unknown-method", "path", "")]),
        (get().match(call("get")), []),
    ],
    Kind.UNKNOWN_STATUS: [
        (get().match(call(status=404)), [("unknown-status", "status", "404")]),
        (get(responses={"4XX": {"description": ""}}).match(call(status=404)), []),
        (get(responses={"default": {"description": ""}}).match(call(status=500)), []),
    ],
    Kind.UNKNOWN_CONTENT_TYPE: [
        (
            answering({}).match(call(answer=body(b"<a/>"), answer_type="text/xml")),
            [("unknown-content-type", "response.body", "")],
        ),
        (answering({}).match(call(answer=body({}), answer_type="Application/JSON; charset=utf-8")), []),
    ],
    Kind.UNKNOWN_PARAMETER: [
        (query({}, b"q=1&z=2"), [("unknown-parameter", "query", "z")]),
        (query({}, b"q=1"), []),
    ],
    Kind.UNKNOWN_FIELD: [
        (
            verdict_on({"properties": {"a": {"properties": {"b": {}}}}}, {"a": {"c/d": 1}}),
            [("unknown-field", "response.body", "/a/c~1d")],
        ),
        (verdict_on({"properties": {"a": {}}, "additionalProperties": True}, {"z": 1}), []),
        (verdict_on({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, {"z": 1}), []),
        (verdict_on({"type": "object"}, {"z": 1}), []),
    ],
    Kind.UNKNOWN_BODY: [
        (get().match(call(sent=body({}))), [("unknown-body", "request.body", "")]),
        (get().match(call()), []),
    ],
    Kind.FORBIDDEN_FIELD: [
        (
            verdict_on({"properties": {"a": {}}, "additionalProperties": False}, {"z": 1}),
            [("forbidden-field", "response.body", "/z")],
        ),
        (verdict_on({"additionalProperties": False}, {"z": 1}), [("forbidden-field", "response.body", "/z")]),
        (verdict_on({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}), []),
    ],
    Kind.MISSING_PARAMETER: [
        (query({}, b"", required=True), [("missing-parameter", "query", "q")]),
        (
            get(parameters=[parameter("X-A", "header", {}, required=True)]).match(call()),
            [("missing-parameter", "header", "x-a")],
        ),
        (
            get(parameters=[parameter("c", "cookie", {}, required=True)]).match(call()),
            [("missing-parameter", "cookie", "c")],
        ),
        (query({}, b""), []),
        (
            get(parameters=[parameter("X-A", "header", {}, required=True)]).match(
                call(headers=[(b"x-A", b"")])
            ),
            [],
        ),
    ],
    Kind.MISSING_FIELD: [
        (
            verdict_on({"required": ["a"], "properties": {"a": {}}}, {}),
            [("missing-field", "response.body", "/a")],
        ),
        (verdict_on({"required": ["a"], "properties": {"a": {}}}, {"a": None}), []),
    ],
    Kind.MISSING_BODY: [
        (
            spec({"/x": {"post": operation(requestBody={"content": JSON, "required": True})}}).match(
                call("POST")
            ),
            [("missing-body", "request.body", "")],
        ),
        (answering({}).match(call()), [("missing-body", "response.body", "")]),
        (spec({"/x": {"post": operation(requestBody={"content": JSON})}}).match(call("POST")), []),
        (answering({}).match(call("HEAD")), []),
        (answering({}).match(call(status=204)), []),
    ],
    Kind.MALFORMED_BODY: [
        (answering({}).match(call(answer=body(b'{"a":'))), [("malformed-body", "response.body", "")]),
        (answering({}).match(call(answer=body(b"NaN"))), [("malformed-body", "response.body", "")]),
        (answering({}).match(call(answer=body(b"\xff"))), [("malformed-body", "response.body", "")]),
        (answering({}).match(call(answer=body(b" {} "))), []),
        (
            answering({}).match(call(answer=Body(9, None, "malformed"))),
            [("malformed-body", "response.body", "")],
        ),
        (
            answering({"required": ["a"]}).match(call(answer=Body(9, b"{", "malformed"))),
            [("malformed-body", "response.body", "")],
        ),
        (answering({}).match(call(answer=Body(9, b"{", "undecodable"))), []),
    ],
    Kind.MALFORMED_PARAMETER: [
        (
            get(
                parameters=[{"name": "q", "in": "query", "content": {"application/json": {"schema": {}}}}]
            ).match(call(query=b"q={")),
            [("malformed-parameter", "query", "q")],
        ),
        (
            get(
                parameters=[{"name": "q", "in": "query", "content": {"application/json": {"schema": {}}}}]
            ).match(call(query=b"q=%7B%7D")),
            [],
        ),
    ],
    Kind.TYPE: [
        (verdict_on({"type": "integer"}, "1"), [("type", "response.body", "")]),
        (query({"type": "integer"}, b"q=x"), [("type", "query", "q")]),
        (verdict_on({"type": "integer"}, 1.0), []),
        (query({"type": "integer"}, b"q=-12"), []),
    ],
    Kind.FORMAT: [
        (verdict_on({"format": "uuid", "type": "string"}, "x"), [("format", "response.body", "")]),
        (query({"format": "date", "type": "string"}, b"q=2026-13-01"), [("format", "query", "q")]),
        (query({"format": "date-time", "type": "string"}, b"q=2026-12-01T00%3A00:00Z"), []),
        (verdict_on({"format": "made-up", "type": "string"}, "x"), []),
    ],
    Kind.ENUM: [
        (verdict_on({"enum": ["a"]}, "b"), [("enum", "response.body", "")]),
        (verdict_on({"const": 1}, 2), [("enum", "response.body", "")]),
        (query({"enum": [1, 2]}, b"q=3"), [("enum", "query", "q")]),
        (query({"enum": [1, 2]}, b"q=2"), []),
    ],
    Kind.BOUNDS: [
        (verdict_on({"maximum": 3}, 4), [("bounds", "response.body", "")]),
        (verdict_on({"minLength": 3}, "ab"), [("bounds", "response.body", "")]),
        (verdict_on({"uniqueItems": True}, [1, 1]), [("bounds", "response.body", "")]),
        (query({"type": "integer", "minimum": 5}, b"q=4"), [("bounds", "query", "q")]),
        (verdict_on({"maximum": 3}, 3), []),
    ],
    Kind.PATTERN: [
        (verdict_on({"pattern": "^a+$"}, "b"), [("pattern", "response.body", "")]),
        (verdict_on({"pattern": "^a+$"}, "aa"), []),
    ],
    Kind.ONE_OF: [
        (
            verdict_on({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1),
            [("one-of", "response.body", "")],
        ),
        (
            verdict_on({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "x"),
            [("one-of", "response.body", "")],
        ),
        (verdict_on({"not": {"type": "string"}}, "x"), [("one-of", "response.body", "")]),
        (verdict_on({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1.5), []),
    ],
    Kind.READ_ONLY: [
        (
            verdict_of_sending({"properties": {"id": {"readOnly": True}}}, {"id": 1}),
            [("read-only", "request.body", "/id")],
        ),
        (verdict_on({"properties": {"id": {"readOnly": True}}}, {"id": 1}), []),
    ],
    Kind.WRITE_ONLY: [
        (
            verdict_on({"properties": {"key": {"writeOnly": True}}}, {"key": 1}),
            [("write-only", "response.body", "/key")],
        ),
        (verdict_of_sending({"properties": {"key": {"writeOnly": True}}}, {"key": 1}), []),
    ],
}

NAMED = {"X-Known": {"schema": {"type": "integer"}, "required": True}}
HEADED = {"200": {"description": "", "headers": NAMED}}
CASES[Kind.MISSING_HEADER] = [
    (get(responses=HEADED).match(call()), [("missing-header", "response.header", "x-known")]),
    (get(responses=HEADED).match(call(answer_headers=[(b"X-KNOWN", b"1")])), []),
    (
        get(responses=HEADED).match(call(answer_headers=[(b"x-known", b"a")])),
        [("type", "response.header", "x-known")],
    ),
]

TELLING = ReportingPolicy(headers=True)
CASES[Kind.UNKNOWN_HEADER] = [
    (
        spec({"/x": {"get": operation()}}, policy=TELLING).match(call(headers=[(b"X-Odd", b"1")])),
        [("unknown-header", "header", "x-odd")],
    ),
    (
        spec({"/x": {"get": operation()}}, policy=TELLING).match(call(answer_headers=[(b"X-Odd", b"1")])),
        [("unknown-header", "response.header", "x-odd")],
    ),
    (get().match(call(headers=[(b"X-Odd", b"1")], answer_headers=[(b"X-Odd", b"1")])), []),
    (
        spec({"/x": {"get": operation(responses=HEADED)}}, policy=TELLING).match(
            call(headers=[(b"Accept", b"*/*")], answer_headers=[(b"x-known", b"1"), (b"Vary", b"*")])
        ),
        [],
    ),
]

KEY: Any = {"components": {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}}}
PROTECTED = spec({"/x": {"get": operation(security=[{"k": []}])}}, **KEY)
CASES[Kind.SECURITY_UNMET] = [
    (PROTECTED.match(call()), [("security-unmet", "security", "")]),
    (PROTECTED.match(call(headers=[(b"x-key", b"*")])), []),
    (PROTECTED.match(call(status=401)), [("unknown-status", "status", "401")]),
]

ASKING = ReportingPolicy(answers=True, credentials=True)
PLAIN = spec({"/x": {"get": operation()}}, policy=ASKING)
CASES[Kind.UNKNOWN_ANSWER] = [
    (PLAIN.match(call(answer=body({}))), [("unknown-answer", "response.body", "")]),
    (PLAIN.match(call()), []),
    (get().match(call(answer=body({}))), []),
]
ASKED = spec({"/x": {"get": operation(security=[{"k": []}])}}, policy=ASKING, **KEY)
CASES[Kind.UNKNOWN_CREDENTIALS] = [
    (PLAIN.match(call(scheme="bearer")), [("unknown-credentials", "security", "")]),
    (PLAIN.match(call()), []),
    (get().match(call(scheme="bearer")), []),
    (ASKED.match(call(headers=[(b"x-key", b"*")], scheme="bearer")), []),
]


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [pytest.param(*case, id=f"{kind}-{i}") for kind, cases in CASES.items() for i, case in enumerate(cases)],
)
def test_a_kind_is_found_where_it_is_and_not_where_it_is_not(
    judgement: Judgement, expected: list[tuple[str, str, str]]
) -> None:
    assert found(judgement) == expected


def test_every_kind_has_a_call_that_shows_it_and_one_that_does_not() -> None:
    for kind in Kind:
        cases = CASES[kind]
        assert any(name == kind for _, expected in cases for name, _, _ in expected)
        assert any(all(name != kind for name, _, _ in expected) for _, expected in cases)


@pytest.mark.parametrize("state", ["truncated", "gap", "unseen", "undecodable", "masked"])
def test_a_body_that_was_not_kept_whole_is_unjudged_and_never_blamed(state: str) -> None:
    record = call(answer=Body(100, b'{"a"', state))
    judgement = answering({"required": ["a"]}).match(record)
    assert judgement.verdict == "unjudged"
    assert judgement.why == f"response.body is {state}"


def test_an_empty_body_in_an_exchange_with_a_hole_is_not_missing() -> None:
    judgement = answering({}).match(call(answer=EMPTY, completeness="gap"))
    assert (judgement.verdict, judgement.why) == ("unjudged", "the exchange is gap")
