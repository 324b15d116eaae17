"""Values of every kind, and what is learned from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.render import Style, schema

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
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(keys, below, max_size=5)
        | st.permutations(["a", "b", "id"]).map(dict.fromkeys)  # the same keys in any order
    ),
    max_leaves=12,
)


def learnt(values: Iterable[Any], budget: Budget | None = None) -> Shape:
    shape, budget = Shape(), budget or Budget()
    for value in values:
        budget.now += 1_000_000_000
        learn(shape, value, budget)
    return shape


def said(values: Iterable[Any]) -> Any:
    return schema(learnt(values), "", PLAIN)


def conforms(found: Any, value: Any) -> bool:
    return Draft202012Validator(found, validate_formats=True).is_valid(value)
