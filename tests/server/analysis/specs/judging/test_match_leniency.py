"""What clients, servers and documents do differently from the letter, and is still judged right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.analysis.specs.spec_calls import (
    answering,
    body,
    call,
    found,
    operation,
    parameter,
    spec,
    verdict_on,
)

WORDS = spec(
    {
        "/a/{x}": {"get": operation(parameters=[parameter("x", "path", {})])},
        "/a/lit": {"post": operation()},
        "/b/{x}": {"delete": operation(parameters=[parameter("x", "path", {})])},
        "/b/{path}": {
            "get": operation(parameters=[{**parameter("path", "path", {}), "x-multi-segment": True}])
        },
    }
)


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", b"/a/lit", "GET /a/{x}"),
        ("HEAD", b"/a/lit", "GET /a/{x}"),
        ("POST", b"/a/lit", "POST /a/lit"),
        ("GET", b"/a/lit/", "GET /a/{x}"),
        ("DELETE", b"/b/1", "DELETE /b/{x}"),
        ("GET", b"/b/1", "GET /b/{path}"),
        ("GET", b"/b/1/2", "GET /b/{path}"),
        ("PUT", b"/a/lit", None),
    ],
)
def test_a_template_without_the_method_gives_way_to_the_next(
    method: str, path: bytes, key: str | None
) -> None:
    judgement = WORDS.match(call(method, path))
    assert judgement.operation == key
    assert [kind for kind, _, _ in found(judgement)] == ([] if key else ["unknown-method"])


def test_a_variable_of_a_base_path_stands_for_each_value_of_its_enum() -> None:
    variables = {"v": {"default": "v1", "enum": ["v2", "v1"]}, "r": {"default": "eu", "enum": ["eu", "us"]}}
    shop = spec({"/a": {"get": operation()}}, servers=[{"url": "https://{r}.h/{v}", "variables": variables}])
    assert shop.base_paths == ("/v1", "/v2")
    assert [shop.match(call(path=path)).operation for path in (b"/v1/a", b"/v2/a", b"/v3/a")] == [
        "GET /a", "GET /a", None,
    ]  # fmt: skip
    many = {"v": {"default": "0", "enum": [str(number) for number in range(1000)]}}
    assert len(spec({}, servers=[{"url": "/{v}", "variables": many}]).base_paths) == 50


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        (b"ids=1,2", []),
        (b"ids=1%2C2", []),
        (b"ids=1%2c2,3", []),
        (b"ids=1%2Cx", ["type"]),
        (b"words=a%2Cb", []),
        (b"words=a,c", ["enum"]),
    ],
)
def test_commas_of_an_array_may_be_encoded(query: bytes, kinds: list[str]) -> None:
    arrays: list[Any] = [
        {**parameter("ids", "query", {"type": "array", "items": {"type": "integer"}}), "explode": False},
        {**parameter("words", "query", {"type": "array", "items": {"enum": ["a", "b"]}}), "explode": False},
    ]
    for one in arrays:
        one["required"] = False
    shop = spec({"/x": {"get": operation(parameters=arrays)}})
    assert [kind for kind, _, _ in found(shop.match(call(query=query)))] == kinds


@pytest.mark.parametrize(
    ("value", "fits"),
    [("aGk=", True), ("", True), ("QUJD\r\nQUJD", True), ("aGk", False), ("a-_b", False), ("hi!", False)],
)
def test_base64_is_judged(value: str, fits: bool) -> None:
    judgement = verdict_on({"type": "string", "format": "byte"}, value)
    assert [one.message for one in judgement.deviations] == ([] if fits else ["not base64"])


def test_what_a_dynamic_reference_describes_is_unjudged() -> None:
    schema = {"properties": {"a": {"$dynamicRef": "#node"}, "b": {"type": "string"}}}
    judgement = verdict_on(schema, {"a": 1})
    assert (judgement.verdict, judgement.why) == ("unjudged", "response.body: $dynamicRef is not followed")
    assert verdict_on(schema, {"b": "x"}).verdict == "conforming"
    assert verdict_on(schema, {"a": 1, "b": 2}).verdict == "deviating"


@pytest.mark.parametrize(
    ("value", "closest"),
    [
        ({"kind": "dog", "age": "x"}, "closest is Dog: not of type integer (age)"),
        ({"kind": "cat"}, "closest is Cat: a required field is missing (name)"),
        ([7], "closest is Cat: not of type object"),
    ],
)
def test_the_alternative_that_fits_best_is_named_with_what_is_wrong_in_it(value: Any, closest: str) -> None:
    cat = {"type": "object", "required": ["name"], "properties": {"kind": {"const": "cat"}}}
    dog = {"type": "object", "properties": {"kind": {"const": "dog"}, "age": {"type": "integer"}}}
    references = [{"$ref": f"#/components/schemas/{name}"} for name in ("Cat", "Dog")]
    one_of = answering({"oneOf": [*references, {"type": "string"}]}, Cat=cat, Dog=dog)
    (deviation,) = one_of.match(call(answer=body(value))).deviations
    assert deviation.kind == "one-of"
    assert deviation.message.endswith(closest)


def test_names_of_map_keys_are_in_no_message() -> None:
    schema = {"oneOf": [{"additionalProperties": {"type": "integer"}}, {"type": "string"}]}
    (deviation,) = verdict_on(schema, {"s3cret": "s3cret"}).deviations
    assert "s3cret" not in deviation.message


def test_paths_that_differ_in_names_only_are_a_warning() -> None:
    named = {name: operation(parameters=[parameter(name, "path", {})]) for name in ("x", "y")}
    shop = spec({"/a/{x}": {"get": named["x"]}, "/a/{y}": {"post": named["y"]}})
    (warning,) = shop.warnings
    assert "differs from this one in names of parameters only" in warning
    assert shop.match(call("POST", b"/a/7")).operation == "POST /a/{y}"
