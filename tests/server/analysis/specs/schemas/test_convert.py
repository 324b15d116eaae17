"""Differences between OpenAPI's schemas and JSON Schema: each with a conforming and a deviating value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.analysis.specs.spec_calls import found, verdict_of_sending, verdict_on

V30, V31 = "3.0.3", "3.1.0"
REF = {"$ref": "#/components/schemas/A"}

TRAPS: list[tuple[str, str, Any, Any, list[str]]] = [
    ("null-where-nullable", V30, {"type": "string", "nullable": True}, None, []),
    ("null-where-not", V30, {"type": "string"}, None, ["type"]),
    ("nullable-is-nothing-in-31", V31, {"type": "string", "nullable": True}, None, ["type"]),
    ("null-type-in-31", V31, {"type": ["string", "null"]}, None, []),
    ("nullable-enum-forgets-null", V30, {"type": "string", "nullable": True, "enum": ["a"]}, None, []),
    ("nullable-enum-names-null", V30, {"type": "string", "nullable": True, "enum": ["a", None]}, None, []),
    ("nullable-enum-otherwise", V30, {"type": "string", "nullable": True, "enum": ["a"]}, "b", ["enum"]),
    ("enum-of-31-is-strict", V31, {"type": ["string", "null"], "enum": ["a"]}, None, ["enum"]),
    ("nullable-all-of", V30, {"nullable": True, "allOf": [REF]}, None, []),
    ("nullable-all-of-otherwise", V30, {"nullable": True, "allOf": [REF]}, {"n": "x"}, ["type"]),
    ("nullable-one-of", V30, {"nullable": True, "oneOf": [REF, {"type": "string"}]}, None, []),
    ("exclusive-minimum-true", V30, {"minimum": 3, "exclusiveMinimum": True}, 3, ["bounds"]),
    ("exclusive-minimum-true-above", V30, {"minimum": 3, "exclusiveMinimum": True}, 3.1, []),
    ("exclusive-minimum-false", V30, {"minimum": 3, "exclusiveMinimum": False}, 3, []),
    ("exclusive-minimum-number", V31, {"exclusiveMinimum": 3}, 3, ["bounds"]),
    ("exclusive-maximum-true", V30, {"maximum": 3, "exclusiveMaximum": True}, 3, ["bounds"]),
    ("exclusive-maximum-alone", V30, {"exclusiveMaximum": True}, 3, []),
    ("beside-ref-ignored-in-30", V30, {**REF, "required": ["z"]}, {}, []),
    ("beside-ref-counts-in-31", V31, {**REF, "required": ["z"]}, {}, ["missing-field"]),
    ("nullable-beside-ref-in-30", V30, {**REF, "nullable": True}, None, ["type"]),
    ("int32", V30, {"type": "integer", "format": "int32"}, 2**31, ["bounds"]),
    ("int32-edge", V30, {"type": "integer", "format": "int32"}, -(2**31), []),
    ("int64", V31, {"type": "integer", "format": "int64"}, 2**63, ["bounds"]),
    ("int64-edge", V31, {"type": "integer", "format": "int64"}, 2**63 - 1, []),
    ("int32-with-own-maximum", V31, {"type": "integer", "format": "int32", "maximum": 5}, 6, ["bounds"]),
    ("int32-of-nullable", V31, {"type": ["integer", "null"], "format": "int32"}, None, []),
    ("format-of-number-is-skipped", V30, {"type": "number", "format": "double"}, 1.5, []),
    ("keyword-of-31-in-30", V30, {"const": 1}, 2, []),
    ("const-in-31", V31, {"const": 1}, 2, ["enum"]),
    (
        "pattern-properties-in-31",
        V31,
        {"patternProperties": {"^x": {"type": "integer"}}},
        {"xa": "s"},
        ["type"],
    ),
    ("pattern-properties-name", V31, {"patternProperties": {"^x": {}}}, {"y": 1}, ["unknown-field"]),
    ("prefix-items", V31, {"prefixItems": [{"type": "integer"}]}, ["x"], ["type"]),
    ("items-false", V31, {"prefixItems": [{}], "items": False}, [1, 2], ["forbidden-field"]),
    ("true-schema", V31, {"properties": {"a": True}}, {"a": 1}, []),
    ("dependent-required", V31, {"dependentRequired": {"a": ["b"]}}, {"a": 1}, ["missing-field"]),
    ("if-then", V31, {"if": {"type": "integer"}, "then": {"minimum": 5}}, 3, ["bounds"]),
    (
        "unevaluated",
        V31,
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        {"a": 1},
        [],
    ),
    (
        "unevaluated-of-failed-part",
        V31,
        {"allOf": [{"properties": {"a": {"type": "integer"}}}], "unevaluatedProperties": False},
        {"a": "x"},
        ["type"],
    ),
    (
        "unevaluated-and-no-name",
        V31,
        {"patternProperties": {"b": {}}, "unevaluatedProperties": False},
        {"z": 1},
        ["forbidden-field"],
    ),
    ("unevaluated-items-unknown-field", V31, {"unevaluatedItems": REF}, [{"z": 1}], []),
    (
        "one-branch-keeps-to-itself",
        V31,
        {"prefixItems": [{}], "oneOf": [{"items": {"type": "integer"}}]},
        ["x"],
        ["type"],
    ),
    (
        "null-branch-does-not-wake-a-then",
        V31,
        {"then": False, "anyOf": [{"type": "null"}, {"type": "string"}]},
        None,
        [],
    ),
    ("optional-by-any-of", V31, {"anyOf": [REF, {"type": "null"}]}, {"n": "x"}, ["type"]),
    ("optional-by-any-of-null", V31, {"anyOf": [REF, {"type": "null"}]}, None, []),
    ("optional-by-any-of-unknown", V31, {"anyOf": [REF, {"type": "null"}]}, {"z": 1}, ["unknown-field"]),
    ("all-of-joins-names", V30, {"allOf": [REF, {"properties": {"m": {}}}]}, {"n": 1, "m": 1}, []),
    ("all-of-joined-unknown", V30, {"allOf": [REF, {"properties": {"m": {}}}]}, {"z": 1}, ["unknown-field"]),
    (
        "all-of-failed-part-blames-no-names",
        V30,
        {"allOf": [REF, {"properties": {"m": {"type": "string"}}}]},
        {"n": 1, "m": 2},
        ["type"],
    ),
    ("any-of-with-free-object", V31, {"anyOf": [REF, {"type": "object"}]}, {"z": 1}, []),
    (
        "any-of-unknown-below-alternatives",
        V31,
        {"anyOf": [{"properties": {"a": REF}, "required": ["a"]}, {"type": "string"}]},
        {"a": {"z": 1}},
        ["unknown-field"],
    ),
    (
        "one-of-not-decided-by-unknown-fields",
        V31,
        {
            "oneOf": [
                {"properties": {"a": REF}, "required": ["a"]},
                {"required": ["b"], "properties": {"b": {}}},
            ]
        },
        {"a": {"z": 1}},
        ["unknown-field"],
    ),
    ("bad-pattern-is-not-judged", V31, {"type": "string", "pattern": "(?=a)b"}, "x", []),
    ("byte-is-base64", V30, {"type": "string", "format": "byte"}, "****", ["pattern"]),
]


@pytest.mark.parametrize(
    ("name", "openapi", "schema", "value", "kinds"), TRAPS, ids=[trap[0] for trap in TRAPS]
)
def test_a_schema_means_what_its_version_of_openapi_says(
    name: str, openapi: str, schema: Any, value: Any, kinds: list[str]
) -> None:
    component = {"type": "object", "properties": {"n": {"type": "integer"}}}
    judgement = verdict_on(schema, value, openapi, A=component)
    assert [kind for kind, _, _ in found(judgement)] == kinds


RECORD = {
    "required": ["id", "key", "name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "key": {"type": "string", "writeOnly": True},
        "name": {"type": "string"},
    },
}


@pytest.mark.parametrize("openapi", [V30, V31])
def test_a_required_field_of_the_other_direction_may_be_absent(openapi: str) -> None:
    assert found(verdict_of_sending(RECORD, {"key": "k", "name": "n"}, openapi)) == []
    assert found(verdict_on(RECORD, {"id": 1, "name": "n"}, openapi)) == []


@pytest.mark.parametrize("openapi", [V30, V31])
def test_a_required_field_of_this_direction_may_not(openapi: str) -> None:
    assert found(verdict_of_sending(RECORD, {"name": "n"}, openapi)) == [
        ("missing-field", "request.body", "/key")
    ]
    assert found(verdict_on(RECORD, {"name": "n"}, openapi)) == [("missing-field", "response.body", "/id")]


def test_read_only_reaches_through_references_and_all_of() -> None:
    schema = {"allOf": [{"$ref": "#/components/schemas/Base"}, {"required": ["id"], "properties": {"n": {}}}]}
    base = {"properties": {"id": {"$ref": "#/components/schemas/Id"}}, "required": ["id"]}
    components = {"Base": base, "Id": {"type": "integer", "readOnly": True}}
    assert found(verdict_of_sending(schema, {"n": 1}, V30, **components)) == []
    judgement = verdict_of_sending(schema, {"id": 1}, V30, **components)
    assert found(judgement) == [("read-only", "request.body", "/id")]


PETS: dict[str, Any] = {
    "Cat": {"type": "object", "required": ["kind"], "properties": {"kind": {}, "lives": {"type": "integer"}}},
    "Dog": {"type": "object", "required": ["kind"], "properties": {"kind": {}, "breed": {"type": "string"}}},
}
PET = {
    "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
    "discriminator": {"propertyName": "kind", "mapping": {"hound": "#/components/schemas/Dog"}},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "Cat", "lives": 9}, []),
        ({"kind": "hound", "breed": "x"}, []),
        ({"kind": "Cat", "lives": "x"}, [("type", "response.body", "/lives")]),
        ({"kind": "Cat", "breed": "x"}, [("unknown-field", "response.body", "/breed")]),
        ({"kind": "Cow"}, [("enum", "response.body", "/kind")]),
        ({"lives": 9}, [("missing-field", "response.body", "/kind")]),
        ("Cat", [("type", "response.body", "")]),
    ],
)
def test_a_discriminator_chooses_among_alternatives(value: Any, expected: list[tuple[str, str, str]]) -> None:
    assert found(verdict_on(PET, value, V30, **PETS)) == expected


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ([{"lives": 9}], []),
        ({"lives": 9}, []),
        ({"lives": 9, "kind": "List"}, ["type"]),
        ({"lives": "x", "kind": "Cat"}, ["type"]),
        ({"lives": "x"}, ["one-of"]),
    ],
)
def test_a_discriminator_that_need_not_be_there_is_not_missed(value: Any, kinds: list[str]) -> None:
    cat = {"type": "object", "properties": {"kind": {}, "lives": {"type": "integer"}}}
    several = {"type": "array", "items": {"$ref": "#/components/schemas/Cat"}}
    schema = {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/List"}],
        "discriminator": {"propertyName": "kind"},
    }
    assert [kind for kind, _, _ in found(verdict_on(schema, value, V30, Cat=cat, List=several))] == kinds


HEIRS: dict[str, Any] = {
    "Pet": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}},
        "discriminator": {"propertyName": "kind"},
    },
    "Cat": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"lives": {"type": "integer"}}}]},
    "Lion": {"allOf": [{"$ref": "#/components/schemas/Cat"}, {"properties": {"mane": {"type": "boolean"}}}]},
}


@pytest.mark.parametrize("openapi", [V30, V31])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "Pet"}, []),
        ({"kind": "Cat", "lives": 9}, []),
        ({"kind": "Lion", "lives": 1, "mane": True}, []),
        ({"kind": "Lion", "mane": "x"}, [("type", "response.body", "/0/mane")]),
        ({"kind": "Cat", "z": 1}, [("unknown-field", "response.body", "/0/z")]),
        ({"kind": "Cat", "mane": True}, [("unknown-field", "response.body", "/0/mane")]),
        ({"kind": "Newer"}, []),
    ],
)
def test_a_base_type_stands_for_its_heirs(
    openapi: str, value: Any, expected: list[tuple[str, str, str]]
) -> None:
    schema = {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}
    assert found(verdict_on(schema, [value], openapi, **HEIRS)) == expected


def test_an_heir_is_not_taken_for_its_siblings() -> None:
    heirs = {**HEIRS, "Dog": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"breed": {}}}]}}
    judgement = verdict_on({"$ref": "#/components/schemas/Cat"}, {"kind": "Cat", "breed": 1}, V30, **heirs)
    assert found(judgement) == [("unknown-field", "response.body", "/breed")]


def test_a_schema_that_holds_itself_is_judged_at_every_depth() -> None:
    node = {
        "type": "object",
        "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/components/schemas/Node"}},
    }
    value: Any = {"v": "x"}
    for _ in range(20):
        value = {"v": 1, "next": value}
    judgement = verdict_on({"$ref": "#/components/schemas/Node"}, value, V31, Node=node)
    assert found(judgement) == [("type", "response.body", "/next" * 20 + "/v")]


def test_names_that_need_escaping_are_followed() -> None:
    odd = {"a/b~c%d é": {"type": "object", "properties": {"x~/": {"type": "integer"}}}}
    schema = {"$ref": "#/components/schemas/a~1b~0c%25d%20%C3%A9"}
    assert found(verdict_on(schema, {"x~/": "s"}, V31, **odd)) == [("type", "response.body", "/x~0~1")]
