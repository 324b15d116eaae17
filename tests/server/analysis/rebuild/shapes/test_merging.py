from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.merging import absorb
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.render import Style, schema
from server.analysis.rebuild.shapes.stored import copied
from tests.server.analysis.rebuild.shapes.taught import PLAIN, learnt, said, values


@settings(deadline=None)
@given(st.lists(values, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_what_taught_leaves_no_trace(taught: list[Any], chance: random.Random) -> None:
    assert said(chance.sample(taught, len(taught))) == said(taught)


@settings(deadline=None)
@given(st.lists(values, max_size=20), st.lists(values, max_size=20), st.lists(values, max_size=5))
@example([{"a": 1, "b": 1}], [{"a": 1, "b": 1}, {"b": 1, "a": 1}], [{"b": 1, "a": 1}])
def test_two_places_added_up_are_stored_and_learn_on_as_one_would(
    some: list[Any], others: list[Any], more: list[Any]
) -> None:
    shape, budget = learnt(some), Budget()
    absorb(shape, learnt(others))
    assert schema(copied(shape), "", PLAIN) == said(some + others)
    assert shape.count == len(some) + len(others)
    for value in more:
        learn(shape, value, budget)
    assert schema(copied(shape), "", PLAIN) == said(some + others + more)
    assert shape.count == len(some) + len(others) + len(more)


def learnt_when(taught: list[tuple[int, Any]]) -> Shape:
    shape, budget = Shape(), Budget()
    for second, value in taught:
        budget.now = second * 1_000_000_000
        learn(shape, value, budget)
    return shape


@settings(deadline=None)
@given(st.lists(values, max_size=20), st.randoms(use_true_random=False))
def test_places_that_learnt_any_parts_add_up_in_any_order(taught: list[Any], chance: random.Random) -> None:
    parts: list[list[tuple[int, Any]]] = [[] for _ in range(chance.randint(2, 5))]
    for moment in enumerate(taught):
        chance.choice(parts).append(moment)
    shapes = [learnt_when(part) for part in parts]
    while len(shapes) > 1:
        chance.shuffle(shapes)
        absorb(shapes[0], shapes.pop())
    whole = learnt_when([*enumerate(taught)])
    assert json.dumps(schema(shapes[0], "", Style())) == json.dumps(schema(whole, "", Style()))
