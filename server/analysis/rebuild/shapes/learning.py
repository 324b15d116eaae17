"""Learns values at their places, one after the other, within a budget of places.

Keys that are values themselves (numbers, UUIDs, dates) share one place. Half of the time of learning is spent
in `_learn_values`, which learns the most frequent kinds without a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from server.analysis.rebuild.segments import kind_of
from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.merging import (
    MOST_KEYS,
    MOST_LAYOUTS,
    fold,
    join,
    linked,
    loosen,
)
from server.analysis.rebuild.shapes.model import Layout, ObjectField, Objects, Shape, Variant
from server.analysis.rebuild.shapes.scalar_learning import (
    learn_hidden,
    learn_new_text,
    learn_number,
    learn_text,
)
from server.analysis.rebuild.shapes.values import Hidden, Value

LONGEST_KEY = 120  # characters; a longer key is a value
DEEPEST = 64  # levels of a body; deeper values may be anything


def learn(shape: Shape, value: Value, budget: Budget, depth: int = 0) -> None:
    """Learns from one value at its place; `depth` is how many levels are above it."""
    if type(value) is str:
        learn_text(shape, value)
    elif type(value) is list:
        _learn_array(shape, value, budget, depth)
    elif type(value) is dict:
        _learn_object(shape, value, budget, depth)
    elif value is None:
        shape.nulls += 1
    elif isinstance(value, bool):
        shape.booleans += 1
    elif isinstance(value, (int, float)):
        learn_number(shape, value)
    elif isinstance(value, Hidden):
        learn_hidden(shape, value.value)
    else:
        raise TypeError(f"no JSON: {type(value).__name__}")


def _learn_array(shape: Shape, values: Sequence[Value], budget: Budget, depth: int) -> None:
    shape.arrays += 1
    if not values:
        return
    items = shape.items
    if items is None:
        if depth >= DEEPEST or not budget.take():
            shape.open = True
            return
        items = shape.items = budget.shape()
    depth += 1
    for one in values:
        learn(items, one, budget, depth)


def _learn_object(shape: Shape, value: Mapping[str, Value], budget: Budget, depth: int) -> None:
    objects = shape.objects
    if objects is None:
        if depth >= DEEPEST or not budget.take():
            shape.unknown += 1
            return
        objects = shape.objects = Objects()
    learn_object(objects, value, budget, depth + 1)


def learn_object(objects: Objects, value: Mapping[str, Value], budget: Budget, depth: int) -> None:
    """Learns from one object; `depth` is how many levels are above its values."""
    layout = _layout_of(objects, value, budget)
    if layout is None:
        _learn_loose(objects, value, budget, depth)
        return
    layout.count += 1
    now = budget.now
    if now > layout.last:
        layout.last = now
    if now < layout.first:
        layout.first = now
    if len(layout.shapes) < len(value):
        value = _take_others(objects, value, layout.keys, budget, depth)
    _learn_values(layout.shapes, value.values(), budget, depth)


def _learn_values(shapes: list[Shape], values: Iterable[Value], budget: Budget, depth: int) -> None:
    for shape, one in zip(shapes, values, strict=False):
        if type(one) is str:
            texts = shape.texts
            if texts is not None and one in texts:
                texts[one] += 1
            elif texts is not None or shape.fits or one < shape.least:
                learn_new_text(shape, one)
            else:
                shape.strings += 1
        elif type(one) is int:
            shape.integers += 1
            if one < shape.low:
                shape.lower(one)
        elif type(one) is dict and shape.objects is not None:
            learn_object(shape.objects, one, budget, depth + 1)
        else:
            learn(shape, one, budget, depth)


def _layout_of(objects: Objects, value: Mapping[str, Value], budget: Budget) -> Layout | None:
    """The layout of an object; None if there are too many."""
    if objects.layouts is None:
        return None
    layout = objects.layouts.get(tuple(value))
    return _find(objects, objects.layouts, value, budget) if layout is None else layout


def _find(
    objects: Objects, layouts: dict[tuple[str, ...], Layout], value: Mapping[str, Value], budget: Budget
) -> Layout | None:
    """The layout of an object with a new sequence of keys."""
    keys = tuple(key for key in value if not _is_value(key))
    layout = layouts.get(keys)
    if layout is not None:
        return layout
    if len(layouts) >= MOST_LAYOUTS or not _has_room(objects, keys, budget):
        loosen(objects)
        return None
    layout = layouts[keys] = Layout(keys, _variant_for(objects, keys, budget))
    budget.take()
    return layout


def _has_room(objects: Objects, keys: tuple[str, ...], budget: Budget) -> bool:
    """Whether the new keys fit the bounds."""
    return len(objects.names.union(keys)) <= MOST_KEYS and 2 * len(keys) + 1 <= budget.left


def _variant_for(objects: Objects, keys: tuple[str, ...], budget: Budget) -> Variant:
    """The variant that these keys belong to, with a place for each; variants linked by them are joined."""
    alike = linked(objects, frozenset(keys))
    if alike:
        variant = join(objects, alike)
    else:
        variant = Variant()
        objects.variants.append(variant)
    for key in keys:
        if key not in variant.fields:
            budget.take()
            variant.fields[key] = ObjectField(budget.shape())
    return variant


def _take_others(
    objects: Objects, value: Mapping[str, Value], keys: frozenset[str], budget: Budget, depth: int
) -> dict[str, Value]:
    """Learns the values of keys that are values themselves; returns the object without them."""
    named = {}
    for key, one in value.items():
        if key in keys:
            named[key] = one
        else:
            _learn_other(objects, one, budget, depth)
    return named


def _learn_other(objects: Objects, value: Value, budget: Budget, depth: int) -> None:
    if objects.others is None:
        if not budget.take():
            objects.open = True
            return
        objects.others = budget.shape()
    learn(objects.others, value, budget, depth)


def _learn_loose(objects: Objects, value: Mapping[str, Value], budget: Budget, depth: int) -> None:
    """Learns from an object without distinguishing its layout."""
    variant, now = objects.variants[0], budget.now
    variant.record(1, now, now)
    for key, one in value.items():
        field = variant.fields.get(key) or _new_field(objects, key, budget)
        if field is None:
            _learn_other(objects, one, budget, depth)
        else:
            field.record(1, now, now)
            learn(field.shape, one, budget, depth)


def _new_field(objects: Objects, key: str, budget: Budget) -> ObjectField | None:
    fields = objects.variants[0].fields
    if objects.folded or _is_value(key):
        return None
    if len(fields) >= MOST_KEYS:
        fold(objects)
        return None
    if not budget.take():
        return None
    field = fields[key] = ObjectField(budget.shape())
    return field


def _is_value(key: str) -> bool:
    """Whether a key is a value itself; one with a sign, such as "+1", is a name."""
    return len(key) > LONGEST_KEY or (kind_of(key) is not None and key[0] not in "+-")
