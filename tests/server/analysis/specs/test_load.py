"""Loading: what is accepted, and what is refused with which place and reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from server.analysis.specs.load import load
from server.analysis.specs.model import SpecError
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import PATIENT, body, call, document, operation, spec

YAML = b"""
openapi: 3.0.3
info: {title: Pets, version: 1.10, x-since: 2026-01-02}
servers: [{url: https://h/v1}]
x-common: &common
  description: fine
  x-list: [no, on, 010, 0o7, 1_000, 12:30:00, 0x10, -3, 1e3, ~, true, 2026-01-02T03:04:05Z, .5, .inf]
paths:
  /pets:
    get:
      operationId: listPets
      deprecated: true
      responses:
        200:
          <<: *common
          content:
            application/json:
              schema: {type: string, enum: [NO, SE, yes, null]}
        default: {<<: [*common, {description: other}]}
"""


def refused(raw: bytes) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(raw)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"openapi: 3.0.3\npaths:\n  /a: {get: {}}\n  /b: {}\n  /a: {post: {}}\n", "line 5"),
        (b"openapi: 3.0.3\npaths: {}\ninfo: {/a: 1, '/a': 2}\n", "line 3"),
        (b'{"openapi": "3.0.3", "paths": {"/a": {"get": {}}, "/a": {"post": {}}}}', ""),
    ],
)
def test_a_key_that_stands_twice_is_refused_since_one_would_be_lost(raw: bytes, place: str) -> None:
    error = refused(raw)
    assert (error.where, error.reason) == (
        place,
        'one mapping has the key "/a" twice, of which one would be lost',
    )


def test_yaml_is_read_as_json_would_be() -> None:
    loaded = load(YAML)
    assert (loaded.title, loaded.version) == ("Pets", "1.1")
    document: Any = loaded.document
    assert document["info"]["x-since"] == "2026-01-02"
    assert document["x-common"]["x-list"] == [
        *("no", "on", "010", "0o7", "1_000", "12:30:00", "0x10", -3, 1000.0, None, True),
        *("2026-01-02T03:04:05Z", 0.5, ".inf"),
    ]
    responses = document["paths"]["/pets"]["get"]["responses"]
    assert responses["200"]["description"] == "fine"
    assert responses["200"]["content"]["application/json"]["schema"]["enum"] == ["NO", "SE", "yes", None]
    assert responses["default"]["description"] == "fine"
    json.dumps(loaded.document, allow_nan=False)


def test_an_operation_says_what_the_document_says() -> None:
    (listed,) = load(YAML).operations
    assert (listed.key, listed.method, listed.template) == ("GET /v1/pets", "GET", "/pets")
    assert (listed.operation_id, listed.deprecated) == ("listPets", True)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert load(b"\xef\xbb\xbf" + json.dumps(document({})).encode()).operations == ()


GOOD = document({"/x": {"get": operation()}})


def with_schema(schema: Any, openapi: str = "3.1.0", **others: Any) -> Any:
    content = {"application/json": {"schema": schema}}
    paths = {"/x": {"get": {"responses": {"200": {"description": "", "content": content}}}}}
    return document(paths, openapi, **others)


SCHEMA = "/paths/~1x/get/responses/200/content/application~1json/schema"
BAD: list[tuple[str, Any, str, str]] = [
    ("empty", b"", "", "not a JSON object"),
    ("list", b"[]", "", "not a JSON object"),
    ("json", b'{\n"openapi":\n}', "line 3", "not JSON"),
    ("constant", b'{"openapi": NaN}', "", "out of range"),
    ("huge-number", b'{"openapi": 1e999}', "", "out of range"),
    ("half-surrogate", b'{"openapi": "\\ud800"}', "", "surrogate"),
    ("yaml", b"openapi: 3.1.0\n  info: x\n", "line 2", "not YAML"),
    ("yaml-control-character", b"a: \x01", "", "not YAML"),
    ("yaml-two-documents", b"a: 1\n---\nb: 1\n", "line 2", "second YAML document"),
    ("yaml-key", b"? [a]\n: 1\n", "line 1", "key"),
    ("yaml-circle", b"a: &a\n  b: *a\n", "line 2", "alias"),
    ("not-utf-8", b"openapi: 3.1.0\nx: \xff", "line 2", "UTF-8"),
    ("swagger", {"swagger": "1.2"}, "/swagger", "Swagger 2.0"),
    ("no-version", {}, "/openapi", "missing"),
    ("version", {**GOOD, "openapi": "3.3.0"}, "/openapi", "3.0, 3.1 and 3.2"),
    ("version-30x", {**GOOD, "openapi": "3.05"}, "/openapi", "3.0, 3.1 and 3.2"),
    ("no-info", {"openapi": "3.1.0"}, "/info", "missing"),
    ("title", {"openapi": "3.1.0", "info": {"version": "1"}}, "/info/title", "missing"),
    ("no-info-version", {"openapi": "3.1.0", "info": {"title": "t"}}, "/info/version", "missing"),
    ("no-paths", {"openapi": "3.0.0", "info": {"title": "t", "version": "1"}}, "/paths", "missing"),
    ("paths", {**GOOD, "paths": []}, "/paths", "not an object"),
    ("path", {**GOOD, "paths": {"x": {}}}, "/paths/x", "begin with /"),
    ("braces", document({"/{a": {"get": operation()}}), "/paths/~1{a", "braces"),
    ("item", document({"/x": []}), "/paths/~1x", "not an object"),
    ("operation", document({"/x": {"get": 1}}), "/paths/~1x/get", "not an object"),
    (
        "deprecated",
        document({"/x": {"get": operation(deprecated="yes")}}),
        "/paths/~1x/get/deprecated",
        "true",
    ),
    (
        "status",
        document({"/x": {"get": {"responses": {"ok": {}}}}}),
        "/paths/~1x/get/responses/ok",
        "status",
    ),
    (
        "parameter-place",
        document({"/x": {"get": operation(parameters=[{"name": "a", "in": "body"}])}}),
        "/paths/~1x/get/parameters/0/in",
        "not one of",
    ),
    (
        "parameter-name",
        document({"/x": {"get": operation(parameters=[{"in": "query"}])}}),
        "/paths/~1x/get/parameters/0/name",
        "missing",
    ),
    (
        "scheme",
        document({"/x": {"get": operation(security=[{"k": []}])}}),
        "/paths/~1x/get/security/0/k",
        "components",
    ),
    (
        "server-variable",
        {**GOOD, "servers": [{"url": "/{v}"}]},
        "/servers/0/variables/v",
        "not described",
    ),
    ("deep", {"a": json.loads("[" * 150 + "]" * 150)}, "", "deeper"),
]


@pytest.mark.parametrize(("raw", "where", "reason"), [pytest.param(*case[1:], id=case[0]) for case in BAD])
def test_a_bad_document_is_refused_with_place_and_reason(raw: Any, where: str, reason: str) -> None:
    error = refused(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    assert error.where == where
    assert reason in error.reason
    assert str(error) == (f"{where}: {error.reason}" if where else error.reason)
    assert "\n" not in str(error)


BROKEN: list[tuple[str, Any, str, str]] = [
    ("schema", with_schema([]), SCHEMA, "not an object"),
    ("type", with_schema({"type": "int"}), SCHEMA + "/type", "JSON type"),
    ("required", with_schema({"required": True}), SCHEMA + "/required", "array of strings"),
    ("min-length", with_schema({"minLength": "3"}), SCHEMA + "/minLength", "whole number"),
    ("properties", with_schema({"properties": []}), SCHEMA + "/properties", "not an object"),
    (
        "below",
        with_schema({"properties": {"a": {"items": 3}}}),
        SCHEMA + "/properties/a/items",
        "not an object",
    ),
    ("ref", with_schema({"$ref": "#/nowhere"}), SCHEMA + "/$ref", "not in the document"),
    ("ref-elsewhere", with_schema({"$ref": "other.yaml#/A"}), SCHEMA + "/$ref", "local"),
    ("ref-anchor", with_schema({"$ref": "#anchor"}), SCHEMA + "/$ref", "JSON pointer"),
    ("ref-number", with_schema({"$ref": 1}), SCHEMA + "/$ref", "not a string"),
    ("ref-to-itself", with_schema({"$ref": "#" + SCHEMA}), SCHEMA, "without end"),
    ("discriminator", with_schema({"discriminator": {}}), SCHEMA + "/discriminator/propertyName", "missing"),
]


@pytest.mark.parametrize(("raw", "where", "reason"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN])
def test_a_broken_schema_is_warned_of_and_unjudged_where_it_is_used(
    raw: Any, where: str, reason: str
) -> None:
    raw["paths"]["/y"] = {"get": operation()}
    loaded = load(json.dumps(raw).encode())
    (warning,) = loaded.warnings
    assert warning.startswith(f"{where}: ")
    assert reason in warning
    assert warning.endswith("; what it describes is not validated")
    assert loaded.match(call(answer=body({"a": [1]}))).verdict == "unjudged"
    assert loaded.match(call(path=b"/y")).verdict == "conforming"


def test_a_broken_schema_decides_nothing_and_all_others_are_judged() -> None:
    schemas = {
        "Whole": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "Base": {"discriminator": {"propertyName": "k"}, "properties": {"k": {"type": "string"}}},
        "Sub": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"z": {"type": "int"}}}]},
        "Far": {"items": {"$ref": "#/components/schemas/Base"}},
        "Unused": {"type": "madeup"},
    }
    paths = {
        f"/{name}": with_schema({"$ref": f"#/components/schemas/{name}"})["paths"]["/x"]
        for name in ("Whole", "Base", "Far")
    }
    loaded = load(json.dumps(document(paths, components={"schemas": schemas})).encode())
    assert [warning.partition(":")[0] for warning in loaded.warnings] == [
        "/components/schemas/Sub/allOf/1/properties/z/type"
    ]
    verdicts = {
        (name, json.dumps(value)): loaded.match(call(path=f"/{name}".encode(), answer=body(value))).verdict
        for name, value in (
            *(("Whole", {"n": "x"}), ("Whole", {"n": 1}), ("Base", {"k": "Base"}), ("Base", {"k": 1})),
            *(("Base", {"k": "Sub"}), ("Base", {"k": "Sub", "z": 1}), ("Far", [{"k": "Base"}])),
            *(("Far", [{"k": "Sub", "z": 1}]), ("Far", [{"k": "Sub", "z": 1}, {"k": 1}])),
        )
    }
    assert [*verdicts.values()] == [
        *("deviating", "conforming", "conforming", "deviating"),
        *("conforming", "unjudged", "conforming"),
        *("unjudged", "deviating"),
    ]


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_with_one_broken_subtype_the_others_are_judged(keyword: str) -> None:
    parts = {name: {"$ref": f"#/components/schemas/{name}"} for name in ("Cat", "Dog")}
    schemas = {
        "Cat": {"required": ["k"], "properties": {"k": {"const": "Cat"}, "n": {"type": "integer"}}},
        "Dog": {"properties": []},
    }
    raw = with_schema({keyword: [*parts.values()], "discriminator": {"propertyName": "k"}})
    loaded = load(json.dumps({**raw, "components": {"schemas": schemas}}).encode())
    verdicts = [
        loaded.match(call(answer=body(value))).verdict
        for value in ({"k": "Cat", "n": 1}, {"k": "Cat", "n": "x"}, {"k": "Dog", "n": "x"}, {"k": "Owl"})
    ]
    assert verdicts == ["conforming", "deviating", "unjudged", "deviating"]


def test_what_is_not_used_in_judging_is_warned_of() -> None:
    warnings = spec({"/x?a=1": {"get": operation()}}).warnings
    assert warnings == ("/paths/~1x?a=1: a path with a query or fragment matches nothing",)
    pattern = load(json.dumps(with_schema({"pattern": "(?=a)"})).encode())
    assert pattern.warnings == (
        f"{SCHEMA}/pattern: the linear-time engine cannot run this pattern; it is not validated",
    )


def test_references_to_parameters_bodies_answers_and_paths_are_followed() -> None:
    components: Any = {
        "parameters": {"Q": {"name": "q", "in": "query", "schema": {"type": "integer"}, "required": True}},
        "requestBodies": {"B": {"required": True, "content": {}}},
        "responses": {"R": {"description": "", "content": {}}},
    }
    item: Any = {
        "post": {
            "parameters": [{"$ref": "#/components/parameters/Q"}],
            "requestBody": {"$ref": "#/components/requestBodies/B"},
            "responses": {"200": {"$ref": "#/components/responses/R"}},
        }
    }
    loaded = spec({"/x": {"$ref": "#/items/one"}}, components=components, items={"one": item})
    kinds = {one.kind for one in loaded.match(call("POST")).deviations}
    assert kinds == {"missing-parameter", "missing-body"}


def test_what_the_validator_of_the_standard_accepts_here_is_accepted() -> None:
    for good in (GOOD, with_schema({"type": "string"}), with_schema({"type": "string"}, "3.0.3")):
        validate(good)
        load(json.dumps(good).encode())


def loads_or_refuses(raw: bytes) -> None:
    try:
        loaded = load(raw)
    except SpecError:
        return
    assert isinstance(loaded, Specification)
    loaded.match(call(query=b"q=1", answer=body({"q": [1, "x"]})))
    loaded.match(call("POST", path=b"/a", sent=body({"q": {"q": None}})))


@settings(PATIENT)
@given(st.binary(max_size=200))
def test_any_bytes_become_a_specification_or_one_refusal(raw: bytes) -> None:
    loads_or_refuses(raw)


@settings(PATIENT)
@given(st.text(alphabet="{}[]:,&*<!?|>-'\"#%@`ab \n\t0", max_size=60))
def test_any_yaml_like_text_becomes_a_specification_or_one_refusal(text: str) -> None:
    loads_or_refuses(text.encode())


WORDS = st.sampled_from(
    [
        *("paths", "/x", "/{a}", "get", "post", "parameters", "name", "in", "query", "q", "style", "explode"),
        *("requestBody", "responses", "200", "default", "content", "application/json", "schema", "required"),
        *("components", "schemas", "A", "$ref", "#/components/schemas/A", "#/paths", "#", "security"),
        *("servers", "url", "type", "object", "string", "properties", "items", "allOf", "oneOf", "anyOf"),
        *("not", "if", "then", "enum", "const", "nullable", "discriminator", "propertyName", "mapping"),
        *("additionalProperties", "pattern", "format", "minimum", "readOnly", "deprecated"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@settings(PATIENT, max_examples=300)
@given(JSON, JSON, st.sampled_from(["3.0.0", "3.1.0"]))
def test_any_json_in_the_right_places_becomes_a_specification_or_one_refusal(
    paths: Any, schema: Any, openapi: str
) -> None:
    components = {"schemas": {"A": schema}}
    loads_or_refuses(json.dumps({**document(paths, openapi), "components": components}).encode())
    loads_or_refuses(json.dumps(with_schema(schema, openapi, components=components)).encode())
