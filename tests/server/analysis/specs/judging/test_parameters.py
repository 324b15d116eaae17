"""Parameters in each place and style: how they are parsed, and where a deviation is located."""

from __future__ import annotations

from typing import Any

import pytest

from agent.wire import Mask
from server.analysis.specs.model import Judgement
from tests.server.analysis.specs.spec_calls import call, found, operation, parameter, spec

INTEGERS = {"type": "array", "items": {"type": "integer"}}
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}}


def judged(template: str, parameters: list[Any], **said: Any) -> Judgement:
    return spec({template: {"get": operation(parameters=parameters)}}).match(call(**said))


LISTED = {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"}}}}

QUERY: list[tuple[str, Any, dict[str, Any], bytes, list[str]]] = [
    ("integer", {"type": "integer"}, {}, b"q=1", []),
    ("integer-with-zeros", {"type": "integer"}, {}, b"q=007", []),
    ("integer-is-no-number", {"type": "integer"}, {}, b"q=1.5", ["type"]),
    ("number", {"type": "number"}, {}, b"q=-1.5e3", []),
    ("boolean", {"type": "boolean"}, {}, b"q=true", []),
    ("boolean-otherwise", {"type": "boolean"}, {}, b"q=1", ["type"]),
    ("digits-of-a-string", {"type": "string", "minLength": 2}, {}, b"q=12", []),
    ("string-or-integer", {"anyOf": [{"type": "integer", "maximum": 5}, {"type": "string"}]}, {}, b"q=9", []),
    ("plus-is-a-space", {"enum": ["a b"]}, {}, b"q=a+b", []),
    ("percent-encoded", {"enum": ["a&b"]}, {}, b"q=a%26b", []),
    ("name-percent-encoded", {"enum": ["1"]}, {}, b"%71=1", []),
    ("not-utf-8", {"type": "string"}, {}, b"q=%FF", []),
    ("empty-allowed", {"type": "integer"}, {"allowEmptyValue": True}, b"q=", []),
    ("empty-not-allowed", {"type": "integer"}, {}, b"q=", ["type"]),
    ("nothing-said", {}, {}, b"q=anything", []),
    ("array-exploded", INTEGERS, {}, b"q=1&q=2", []),
    ("array-of-one", INTEGERS, {}, b"q=1", []),
    ("array-exploded-otherwise", INTEGERS, {}, b"q=1&q=x", ["type"]),
    ("array-commas", INTEGERS, {"explode": False}, b"q=1,2,3", []),
    ("array-commas-otherwise", INTEGERS, {"explode": False}, b"q=1,,3", ["type"]),
    ("array-spaces", INTEGERS, {"style": "spaceDelimited", "explode": False}, b"q=1%202", []),
    ("array-pipes", INTEGERS, {"style": "pipeDelimited", "explode": False}, b"q=1|2%7C3", []),
    ("array-bounds", {**INTEGERS, "maxItems": 1}, {}, b"q=1&q=2", ["bounds"]),
    ("object-commas", POINT, {"explode": False}, b"q=x,1,y,2", []),
    ("object-commas-odd", POINT, {"explode": False}, b"q=x,1,y", ["malformed-parameter"]),
    ("object-exploded", POINT, {}, b"x=1&y=2", []),
    ("object-exploded-otherwise", POINT, {}, b"x=a", ["type"]),
    ("object-exploded-unknown", POINT, {}, b"x=1&z=2", ["unknown-parameter"]),
    ("object-open", {"type": "object", "additionalProperties": True}, {}, b"anything=1", []),
    ("deep-object", POINT, {"style": "deepObject"}, b"q[x]=1&q%5By%5D=2", []),
    ("deep-object-otherwise", POINT, {"style": "deepObject"}, b"q[x]=a", ["type"]),
    ("deep-object-unknown-field", POINT, {"style": "deepObject"}, b"q[z]=a", ["unknown-field"]),
    ("deep-object-flat", POINT, {"style": "deepObject"}, b"q=1", ["malformed-parameter"]),
    ("deep-object-missing", POINT, {"style": "deepObject", "required": True}, b"", ["missing-parameter"]),
    ("deep-object-list", LISTED, {"style": "deepObject"}, b"q[l]=1&q[l]=2", []),
    ("deep-object-list-otherwise", LISTED, {"style": "deepObject"}, b"q[l]=1&q[l]=x", ["type"]),
    ("reserved-characters", {"enum": ["a/b?c:d@e"]}, {"allowReserved": True}, b"q=a/b?c:d@e", []),
    ("reserved-but-not-allowed", {"enum": ["a/b"]}, {}, b"q=a/b", []),
    ("unread-style", {"type": "integer"}, {"style": "made-up"}, b"q=x", []),
    ("given-twice-alone-counts-once", {"type": "integer"}, {}, b"q=1&q=2", []),
]


@pytest.mark.parametrize(
    ("schema", "said", "query", "kinds"), [pytest.param(*case[1:], id=case[0]) for case in QUERY]
)
def test_a_query_reads_by_its_style(
    schema: Any, said: dict[str, Any], query: bytes, kinds: list[str]
) -> None:
    judgement = judged("/x", [parameter("q", "query", schema, **said)], query=query)
    assert [kind for kind, _, _ in found(judgement)] == kinds


def test_a_json_parameter_is_judged_by_its_schema() -> None:
    content = {"application/json": {"schema": POINT}}
    described = [{"name": "q", "in": "query", "content": content}]
    assert found(judged("/x", described, query=b"q=%7B%22x%22%3A1%7D")) == []
    assert found(judged("/x", described, query=b'q={"x":"a"}')) == [("type", "query", "q")]


@pytest.mark.parametrize("query", [b'q="\\ud800"', b"q=" + b"[" * 100 + b"]" * 100, b"q=" + b"9" * 5000])
def test_a_json_parameter_that_cannot_be_read_within_bounds_is_unjudged(query: bytes) -> None:
    described = [
        {"name": "q", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}}
    ]
    assert judged("/x", described, query=query).verdict == "unjudged"


def test_path_header_and_cookie_parameters_are_judged_by_name() -> None:
    described = [
        parameter("id", "path", {"type": "integer"}),
        parameter("X-List", "header", INTEGERS),
        parameter("token", "cookie", {"type": "string", "pattern": "^t"}),
        parameter("Accept", "header", {"type": "integer"}, required=True),
    ]
    headers = [(b"x-list", b"1, 2"), (b"X-LIST", b"a"), (b"cookie", b"a=b; token=x")]
    judgement = judged("/x/{id}", described, path=b"/x/%61", headers=headers)
    assert found(judgement) == [
        ("pattern", "cookie", "token"),
        ("type", "header", "x-list"),
        ("type", "path", "id"),
    ]


def test_a_percent_sign_in_a_header_or_decoded_path_stands_for_itself() -> None:
    described = [
        parameter("id", "path", {"enum": ["%41"]}),
        parameter("h", "header", {"enum": ["%41"]}),
    ]
    assert found(judged("/x/{id}", described, path=b"/x/%2541", headers=[(b"h", b"%41")])) == []


def test_an_operations_parameter_stands_in_for_its_paths() -> None:
    item = {
        "parameters": [parameter("q", "query", {"type": "integer"})],
        "get": operation(parameters=[parameter("q", "query", {"type": "string"})]),
        "put": operation(),
    }
    judge = spec({"/x": item}).match
    assert found(judge(call(query=b"q=a"))) == []
    assert found(judge(call("PUT", query=b"q=a"))) == [("type", "query", "q")]


def test_a_key_in_the_query_is_no_unknown_parameter() -> None:
    schemes = {"k": {"type": "apiKey", "in": "query", "name": "key"}}
    paths = {"/x": {"get": operation(security=[{"k": []}])}}
    judge = spec(paths, components={"securitySchemes": schemes}).match
    assert found(judge(call(query=b"key=1"))) == []


MASKED: list[tuple[str, Any, bytes, str]] = [
    ("enum", {"enum": ["a"]}, b"q=xxxx", "unjudged"),
    ("pattern", {"type": "string", "pattern": "^a$"}, b"q=xxxx", "unjudged"),
    ("bounds", {"type": "integer", "minimum": 10}, b"q=0", "unjudged"),
    ("boolean", {"type": "boolean"}, b"q=xxxx", "unjudged"),
    ("array", INTEGERS, b"q=xxxx", "unjudged"),
    ("type", {"type": "integer"}, b"q=xxxx", "deviating"),
    ("format", {"type": "string", "format": "email"}, b"q=xxxx", "unjudged"),
    ("type-that-fits", {"type": "integer"}, b"q=000", "conforming"),
]


@pytest.mark.parametrize(
    ("schema", "query", "verdict"), [pytest.param(*case[1:], id=case[0]) for case in MASKED]
)
def test_a_masked_parameter_is_judged_by_what_its_placeholder_keeps(
    schema: Any, query: bytes, verdict: str
) -> None:
    masks = [Mask("query", "q", "name")]
    assert judged("/x", [parameter("q", "query", schema)], query=query, masks=masks).verdict == verdict


def test_a_masked_path_segment_counts_for_its_parameter() -> None:
    described = [parameter("id", "path", {"type": "string", "pattern": "^z"})]
    judgement = judged("/x/{id}", described, path=b"/x/rrrr", masks=[Mask("path", "1", "shape")])
    assert (judgement.verdict, judgement.why) == ("unjudged", "a masked value in path")


def test_masks_that_were_left_out_may_be_anywhere() -> None:
    described = [parameter("q", "query", {"enum": ["a"]})]
    assert judged("/x", described, query=b"q=b", masks_left_out=1).verdict == "unjudged"


PATHS: list[tuple[str, Any, dict[str, Any], bytes, list[str]]] = [
    ("label", {"type": "number"}, {"style": "label"}, b".1.5", []),
    ("label-otherwise", {"type": "integer"}, {"style": "label"}, b".x", ["type"]),
    ("label-without-dot", {"type": "integer"}, {"style": "label"}, b"1", ["malformed-parameter"]),
    ("label-commas", INTEGERS, {"style": "label"}, b".1,2", []),
    ("label-dots", INTEGERS, {"style": "label"}, b".1.x", ["type"]),
    ("label-exploded", INTEGERS, {"style": "label", "explode": True}, b".1.2", []),
    ("label-object", POINT, {"style": "label"}, b".x,1,y,2", []),
    ("label-object-exploded", POINT, {"style": "label", "explode": True}, b".x=1.y=a", ["type"]),
    ("matrix", {"type": "integer"}, {"style": "matrix"}, b";id=1", []),
    ("matrix-empty", {"type": "string"}, {"style": "matrix"}, b";id", []),
    ("matrix-otherwise", {"type": "integer"}, {"style": "matrix"}, b";id=x", ["type"]),
    ("matrix-other-name", {"type": "integer"}, {"style": "matrix"}, b";z=1", ["malformed-parameter"]),
    ("matrix-commas", INTEGERS, {"style": "matrix"}, b";id=1,x", ["type"]),
    ("matrix-exploded", INTEGERS, {"style": "matrix", "explode": True}, b";id=1;id=2", []),
    ("matrix-object", POINT, {"style": "matrix"}, b";id=x,1", []),
    ("matrix-object-exploded", POINT, {"style": "matrix", "explode": True}, b";x=1;y=a", ["type"]),
    ("simple-object-exploded", POINT, {"explode": True}, b"x=1,y=a", ["type"]),
]


@pytest.mark.parametrize(
    ("schema", "said", "segment", "kinds"), [pytest.param(*case[1:], id=case[0]) for case in PATHS]
)
def test_a_path_parameter_reads_by_its_style(
    schema: Any, said: dict[str, Any], segment: bytes, kinds: list[str]
) -> None:
    described = [parameter("id", "path", schema, **said)]
    judgement = judged("/x/{id}", described, path=b"/x/" + segment)
    assert [kind for kind, _, _ in found(judgement)] == kinds


@pytest.mark.parametrize(
    ("schema", "said", "query"),
    [
        ({"type": "array", "items": INTEGERS}, {"explode": False}, b"q=1,2"),
        (POINT, {"style": "deepObject"}, b"q[x][y]=1"),
    ],
)
def test_what_no_style_defines_is_unjudged(schema: Any, said: dict[str, Any], query: bytes) -> None:
    judgement = judged("/x", [parameter("q", "query", schema, **said)], query=query)
    assert judgement.verdict == "unjudged"


def whole_query(kind: str, query: bytes | None) -> list[str]:
    described = {"name": "q", "in": "querystring", "required": True, "content": {kind: {"schema": POINT}}}
    loaded = spec({"/x": {"get": operation(parameters=[described])}}, "3.2.0")
    return [kind for kind, _, _ in found(loaded.match(call(query=query)))]


def test_a_query_can_be_described_as_a_whole() -> None:
    form = "application/x-www-form-urlencoded"
    assert whole_query(form, b"x=1&y=2") == []
    assert whole_query(form, b"x=a") == ["type"]
    assert whole_query(form, b"z=1") == ["unknown-field"]
    assert whole_query(form, None) == ["missing-parameter"]
    assert whole_query("application/json", b"%7B%7D") == []


def test_the_methods_that_openapi_3_2_adds_are_read() -> None:
    item = {"query": operation(), "additionalOperations": {"COPY": operation()}}
    loaded = spec({"/x": item}, "3.2.0")
    assert [loaded.match(call(method)).verdict for method in ("QUERY", "COPY", "MOVE")] == [
        "conforming",
        "conforming",
        "shadow",
    ]
    assert spec({"/x": item}, "3.1.0").match(call("QUERY")).verdict == "shadow"
