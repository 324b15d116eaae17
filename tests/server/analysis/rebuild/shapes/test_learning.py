from __future__ import annotations

import random
from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import DEEPEST
from server.analysis.rebuild.shapes.merging import MOST_LAYOUTS
from server.analysis.rebuild.shapes.render import schema
from server.analysis.rebuild.shapes.stored import dump, size
from tests.server.analysis.rebuild.shapes.taught import PLAIN, conforms, learnt, said, values


@settings(deadline=None)
@given(st.lists(values, max_size=20))
def test_a_small_budget_widens_and_never_refuses(taught: list[Any]) -> None:
    found = schema(learnt(taught, Budget(4)), "", PLAIN)
    assert all(conforms(found, value) for value in taught)


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
    assert size(shape) < 4 * DEEPEST
    assert conforms(schema(shape, "", PLAIN), value)


def test_long_texts_are_not_kept() -> None:
    shape = learnt(["x" * 1_000_000, "y" * 1_000_000])
    assert len(msgpack.packb(dump(shape))) < 200


def test_more_layouts_than_the_bound_are_one_variant() -> None:
    names = "abcdefgh"
    objects = [{n: 1 for i, n in enumerate(names) if bits >> i & 1} for bits in range(1, 256)]
    assert len(objects) > MOST_LAYOUTS
    found = said(objects)
    assert [*found["properties"]] == [*names]
    assert "required" not in found
