"""Bodies: media types, masked values, and bodies that cannot be read within bounds."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Body, Mask
from tests.server.analysis.specs.spec_calls import answering, body, call, found, operation, spec

A = {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {"type": "string"}}}


def content(*kinds: str, schema: Any = None) -> Any:
    return {"content": {kind: {"schema": schema or {"type": "integer"}} for kind in kinds}}


def judged(described: Any, answer: Body, answer_type: str | None, **said: Any) -> tuple[str, list[str]]:
    paths = {"/x": {"get": {"responses": {"200": {"description": "", **described}}}}}
    judgement = spec(paths).match(call(answer=answer, answer_type=answer_type, **said))
    return judgement.verdict, [kind for kind, _, _ in found(judgement)]


@pytest.mark.parametrize(
    ("described", "sent", "verdict"),
    [
        (["application/json"], "application/json", "deviating"),
        (["application/json; charset=utf-8"], "APPLICATION/json;q=1", "deviating"),
        (["application/*"], "application/json", "deviating"),
        (["*/*"], "application/json", "deviating"),
        (["application/problem+json"], "application/problem+json", "deviating"),
        (["application/json"], None, "deviating"),
        (["application/xml"], "application/xml", "deviating"),
    ],
)
def test_a_body_is_read_by_its_media_type(described: list[str], sent: str | None, verdict: str) -> None:
    assert judged(content(*described), body("no integer"), sent)[0] == verdict


@pytest.mark.parametrize(
    ("raw", "kinds"), [(b"\xef\xbb\xbf7", []), (b"\xef\xbb\xbf\xef\xbb\xbf7", ["malformed-body"])]
)
def test_one_byte_order_mark_may_precede_json(raw: bytes, kinds: list[str]) -> None:
    assert judged(content("application/json"), body(raw), "application/json")[1] == kinds


def test_the_nearest_description_of_a_media_type_counts() -> None:
    described = {"content": {"*/*": {"schema": {"type": "integer"}}, "text/json": {"schema": {}}}}
    assert judged(described, body("x"), "text/json") == ("conforming", [])


def test_text_that_is_just_text_conforms() -> None:
    described = content("text/plain", schema={"type": "string"})
    assert judged(described, body(b"hello"), "text/plain; charset=utf-8") == ("conforming", [])


def test_a_body_of_which_nothing_is_said_conforms() -> None:
    assert judged({}, body(b"hello"), "text/plain") == ("conforming", [])


def test_a_body_that_was_dropped_is_unjudged() -> None:
    assert judged(content("application/json"), Body(5, None, "complete"), "application/json")[0] == "unjudged"


@pytest.mark.parametrize("size", [None, 10])
def test_a_masked_body_may_have_no_unknown_content_type(size: int | None) -> None:
    assert judged(content("text/plain"), Body(size, None, "masked"), "text/plain") == ("unjudged", [])


@pytest.mark.parametrize(
    ("pointer", "verdict"),
    [("/a", "unjudged"), ("", "unjudged"), ("/b", "deviating"), ("/aa", "deviating"), ("/a/b", "deviating")],
)
def test_only_what_is_masked_is_excused(pointer: str, verdict: str) -> None:
    masks = [Mask("response.body", pointer, "name")]
    assert judged(content("application/json", schema=A), body({"a": "rr"}), None, masks=masks)[0] == verdict


def test_type_and_format_of_a_masked_field_are_judged_as_usual() -> None:
    masks = [Mask("response.body", "/a", "name")]
    assert judged(content("application/json", schema=A), body({"a": 0}), None, masks=masks)[1] == ["type"]


def test_alternatives_that_a_mask_may_have_decided_are_unjudged() -> None:
    schema = {"oneOf": [{"properties": {"a": {"enum": ["x"]}}}, {"properties": {"a": {"enum": ["y"]}}}]}
    masks = [Mask("response.body", "/a", "name")]
    described = content("application/json", schema=schema)
    assert judged(described, body({"a": "rr"}), None, masks=masks) == ("unjudged", [])
    assert judged(described, body({"a": "rr"}), None) == ("deviating", ["one-of"])


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200 + b"]" * 200,
        b"[" * 100_000,
        b'{"a":' * 90 + b"1" + b"}" * 90,
        b'{"a":"\\ud800"}',
        b"9" * 5000,
    ],
    ids=["deep", "very-deep", "deep-object", "half-surrogate", "long-number"],
)
def test_what_cannot_be_read_within_bounds_is_unjudged(raw: bytes) -> None:
    schema = {"properties": {"a": {"type": "object"}}}
    assert judged(content("application/json", schema=schema), body(raw), None)[0] == "unjudged"


def test_a_missing_response_leaves_open_whether_a_wrong_request_was_accepted() -> None:
    record = replace(call(query=b"z=1", completeness="no-response"), response=None)
    judgement = spec({"/x": {"get": operation()}}).match(record)
    assert (judgement.verdict, judgement.fault, judgement.deviations) == ("unjudged", None, ())
    assert judgement.why == (
        "the exchange is no-response; the response was not seen;"
        " the request breaks the specification (unknown-parameter in query)"
    )


def test_a_missing_request_is_unjudged() -> None:
    record = replace(call(completeness="late-join"), request=None)
    judgement = spec({"/x": {"get": operation()}}).match(record)
    assert (judgement.operation, judgement.verdict) == (None, "unjudged")


def test_items_of_one_array_deviate_once() -> None:
    judgement = answering({"items": {"type": "integer"}}).match(call(answer=body(["a"] * 50)))
    assert found(judgement) == [("type", "response.body", "/0")]


def test_deviations_of_one_exchange_are_bounded() -> None:
    schema = {"additionalProperties": {"type": "integer"}}
    judgement = answering(schema).match(call(answer=body({f"k{i}": "x" for i in range(2000)})))
    assert len(judgement.deviations) <= 100


def test_messages_hold_nothing_captured() -> None:
    secret = "hunter2-secret"
    schema = {
        "type": "object",
        "properties": {
            "e": {"enum": ["a"]},
            "p": {"type": "string", "pattern": "^a$", "maxLength": 2, "format": "uuid"},
            "c": {"const": "a"},
            "o": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
            "n": {"not": {"type": "string"}},
            "t": {"type": "integer"},
            "u": {"uniqueItems": True},
            "w": {"contains": {"type": "integer"}},
            "k": {"propertyNames": {"maxLength": 3}},
            "d": {"type": "object", "additionalProperties": False},
        },
    }
    value = dict.fromkeys("epcont", secret)
    value |= {"u": [secret, secret], "w": [secret], "k": {secret: 1}, "d": {secret: 1}, secret: 1}  # type: ignore[dict-item]
    judgement = answering(schema).match(call(answer=body(value), query=f"{secret}={secret}".encode()))
    assert len(judgement.deviations) >= 12
    assert not any("hunter2" in one.message for one in judgement.deviations)
