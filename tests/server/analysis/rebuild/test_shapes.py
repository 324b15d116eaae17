from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from server.analysis.rebuild import shape_model, shape_objects
from server.analysis.rebuild.shape_model import Budget, Hidden, Shape
from server.analysis.rebuild.shape_render import Style, schema
from server.analysis.rebuild.shape_state import dump, load, size

PLAIN = Style(evidence=False)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "b", "2024-01-01", "2024-01-01T00:00:00Z", "1.2.3.4", "x@y.de", ""])
)
keys = st.sampled_from(["id", "name", "kind", "a", "b", "c", "d", "1", "22", "+1"]) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(keys, below, max_size=5),
    max_leaves=12,
)


def learnt(values: Iterable[Any], budget: Budget | None = None) -> Shape:
    shape, budget = Shape(), budget or Budget()
    for value in values:
        budget.now += 1_000_000_000
        shape.learn(value, budget)
    return shape


def said(values: Iterable[Any]) -> Any:
    return schema(learnt(values), "", PLAIN)


def conforms(found: Any, value: Any) -> bool:
    return Draft202012Validator(found, validate_formats=True).is_valid(value)


@settings(deadline=None)
@given(st.lists(values, max_size=30))
def test_whatever_taught_conforms(taught: list[Any]) -> None:
    found = Draft202012Validator(said(taught), validate_formats=True)
    assert all(map(found.is_valid, taught))


@settings(deadline=None)
@given(st.lists(values, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_what_taught_leaves_no_trace(taught: list[Any], chance: random.Random) -> None:
    assert said(chance.sample(taught, len(taught))) == said(taught)


@settings(deadline=None)
@given(st.lists(values, max_size=20), st.lists(values, max_size=20))
def test_two_places_added_up_know_what_one_would(some: list[Any], others: list[Any]) -> None:
    shape = learnt(some)
    shape.absorb(learnt(others))
    assert schema(shape, "", PLAIN) == said(some + others)
    assert shape.count == len(some) + len(others)


@settings(deadline=None)
@given(st.lists(values, max_size=20), st.lists(values, max_size=20))
def test_what_was_stored_learns_on_as_if_it_had_not_been(some: list[Any], others: list[Any]) -> None:
    stored = msgpack.unpackb(msgpack.packb(dump(learnt(some))))
    shape, budget = load(stored), Budget()
    for value in others:
        shape.learn(value, budget)
    assert schema(shape, "", PLAIN) == said(some + others)


@settings(deadline=None)
@given(st.lists(values, max_size=20))
def test_a_small_budget_widens_and_never_refuses(taught: list[Any]) -> None:
    found = schema(learnt(taught, Budget(4)), "", PLAIN)
    assert all(conforms(found, value) for value in taught)


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
        (["on"] * 49, None),  # a text that was always the same may be a choice of many
        (["on"] * 50, ["on"]),
        (["on", "off"] * 50 + ["broken"], None),  # rare ones foretell others
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


def test_hostile_keys_become_a_map_in_bounded_memory() -> None:
    chance, budget = random.Random(1), Budget()
    shape = learnt(({chance.randbytes(6).hex() + "z": i, "y": 1} for i in range(50_000)), budget)
    assert size(shape) < 100
    assert said([]) == {}
    assert schema(shape, "", PLAIN) == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_hostile_structure_ends_at_the_budget_and_still_conforms() -> None:
    budget = Budget(2_000)
    chance = random.Random(2)

    def hostile() -> Any:
        value: Any = 1
        for _ in range(20):
            value = {f"k{chance.randrange(10**9)}": value, "list": [value]}
        return value

    taught = [hostile() for _ in range(20)]
    shape = learnt(taught, budget)
    assert size(shape) <= 2_000
    assert budget.refused > 0
    assert all(conforms(schema(shape, "", PLAIN), value) for value in taught)


def test_depth_beyond_the_bound_may_be_anything() -> None:
    value: Any = 1
    for _ in range(500):
        value = [{"a": value}]
    shape = learnt([value])
    assert size(shape) < 4 * shape_model.DEEPEST
    assert conforms(schema(shape, "", PLAIN), value)


def test_long_texts_are_not_kept() -> None:
    shape = learnt(["x" * 1_000_000, "y" * 1_000_000])
    assert len(msgpack.packb(dump(shape))) < 200


def test_more_layouts_than_the_bound_are_one_variant() -> None:
    names = "abcdefgh"
    objects = [{n: 1 for i, n in enumerate(names) if bits >> i & 1} for bits in range(1, 256)]
    assert len(objects) > shape_objects.MOST_LAYOUTS
    found = said(objects)
    assert [*found["properties"]] == [*names]
    assert "required" not in found


def test_evidence_says_how_often_and_when() -> None:
    shape = learnt([{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 1}])
    found = schema(shape, "", Style())
    assert found["properties"]["a"]["x-spectap"] == {
        "count": 3,
        "first": "1970-01-01T00:00:01Z",
        "last": "1970-01-01T00:00:03Z",
    }
    assert found["properties"]["c"]["x-spectap"]["count"] == 1
