from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from server.analysis.rebuild.shapes.render import Style, schema
from server.analysis.rebuild.shapes.values import Hidden
from tests.server.analysis.rebuild.shapes.taught import conforms, learnt, said, values


@settings(deadline=None)
@given(st.lists(values, max_size=30))
def test_whatever_taught_conforms(taught: list[Any]) -> None:
    found = Draft202012Validator(said(taught), validate_formats=True)
    assert all(map(found.is_valid, taught))


def test_a_key_is_required_once_enough_objects_had_it() -> None:
    assert "required" not in said([{"a": 1}] * 9)
    assert said([{"a": 1, "b": 2}, *[{"a": 1}] * 9])["required"] == ["a"]


@pytest.mark.parametrize(
    ("taught", "expected"),
    [
        ([1, None], {"type": ["integer", "null"]}),
        ([1, 2.5], {"type": "number"}),
        ([True, "x"], {"type": ["string", "boolean"]}),
        ([[1, "a"], [None]], {"type": "array", "items": {"type": ["string", "integer", "null"]}}),
        ([None, None], {}),
        ([[]], {"type": "array", "items": {}}),
    ],
)
def test_types_are_what_was_seen(taught: list[Any], expected: Any) -> None:
    assert said(taught) == expected


@pytest.mark.parametrize(
    ("taught", "expected"),
    [
        (["on", "off"] * 5, ["off", "on"]),
        (["on", "off"] * 4, None),  # too few
        (["on"] * 49, None),  # a text that never changed may be one of many choices
        (["on"] * 50, ["on"]),
        (["on", "off"] * 50 + ["broken"], None),  # rare ones suggest that there are others
        ([f"n{i % 11}" for i in range(110)], None),  # more than the square root
        (["on", "off", 1] * 20, None),
        (["on", "off"] * 20 + [Hidden("redacted")], None),
    ],
)
def test_an_enum_takes_few_texts_each_seen_often(taught: list[Any], expected: Any) -> None:
    assert said(taught).get("enum") == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5+02:00"], "date-time"),
        (["2024-01-01", "2024-02-29"], "date"),
        (["2024-01-01", "2024-02-30"], None),
        (["7a6f1a5e-2f0b-4f8e-9d5c-0a1b2c3d4e5f"] * 2, "uuid"),
        (["a@b.de", "c@d.org"], "email"),
        (["https://a.de/x", "urn://b"], "uri"),
        (["https://a.de/{id}", "https://a.de/{name}"], "uri-template"),
        (["10.0.0.1", "8.8.8.8"], "ipv4"),
        (["fe80::1", "::1"], "ipv6"),
        (["a.example.org", "b.example.org"], None),
    ],
)
def test_a_format_is_what_all_texts_have(texts: list[str], expected: str | None) -> None:
    assert said(texts * 2).get("format") == expected
    assert "format" not in said([*texts * 2, "free text"])
    assert "format" not in said(texts)


def test_a_host_name_is_believed_of_a_field_that_says_so_alone() -> None:
    hosts = [{"host": "a.example.org", "file": "notes.example"}] * 10
    assert said(hosts)["properties"] == {
        "host": {"type": "string", "format": "hostname"},
        "file": {"type": "string"},
    }


def test_a_masked_value_teaches_its_type_and_format_alone() -> None:
    shape = learnt([Hidden("1970-01-01T00:00:00Z"), "2024-01-01T00:00:00Z"] * 10)
    assert schema(shape, "", Style()) == {"type": "string", "format": "date-time"}
    assert schema(learnt([Hidden(0), Hidden(0)]), "", Style()) == {"type": "integer"}


@pytest.mark.parametrize(
    "objects",
    [
        [{str(100 + i): "x"} for i in range(5)],
        [{f"7a6f1a5e-2f0b-4f8e-9d5c-0a1b2c3d4e{i:02x}": "x"} for i in range(5)],
        [{chr(97 + i) * 3: "x", chr(98 + i) * 3: "x"} for i in range(20)],
        [{f"word{chr(97 + i % 26)}{chr(97 + i // 26)}": "x" + str(i) for i in range(70)}],
    ],
)
def test_keys_that_are_values_make_a_map(objects: list[dict[str, Any]]) -> None:
    assert said(objects) == {"type": "object", "additionalProperties": {"type": "string"}}


def test_objects_with_half_of_their_keys_in_common_are_one() -> None:
    found = said([{"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}] * 10)
    assert found["required"] == ["a", "b"]
    assert [*found["properties"]] == ["a", "b", "c"]


def test_objects_of_other_keys_are_alternatives() -> None:
    found = said([{"a": 1, "b": 1}, {"c": 1, "d": 1}] * 10)
    assert [one["required"] for one in found["oneOf"]] == [["a", "b"], ["c", "d"]]
    assert not conforms(found, {"a": 1, "b": "x"})


def test_more_than_three_alternatives_are_one() -> None:
    found = said([{"a": 1}, {"b": 1}, {"c": 1}, {"d": 1}] * 10)
    assert [*found["properties"]] == ["a", "b", "c", "d"]
    assert "required" not in found


def test_evidence_says_how_often_and_when() -> None:
    shape = learnt([{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 1}])
    found: Any = schema(shape, "", Style())
    assert found["properties"]["a"]["x-spectap"] == {
        "count": 3,
        "first": "1970-01-01T00:00:01Z",
        "last": "1970-01-01T00:00:03Z",
    }
    assert found["properties"]["c"]["x-spectap"]["count"] == 1
