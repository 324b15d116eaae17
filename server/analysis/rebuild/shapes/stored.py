"""Shapes as tuples for msgpack, and back."""

from __future__ import annotations

from typing import TypeAlias

from server.analysis.rebuild.shapes.model import (
    FARTHEST,
    NO_NUMBER,
    Layout,
    ObjectField,
    Objects,
    Shape,
    Variant,
)

Counts: TypeAlias = tuple[int, int, int, int, int, int]
Bounds: TypeAlias = tuple[int, int, bool, int, str, float | str]
ShapeState: TypeAlias = "tuple[Counts, Bounds, dict[str, int] | None, ShapeState | None, ObjectsState | None]"
FieldState: TypeAlias = "tuple[str, int, int, int, ShapeState]"
VariantState: TypeAlias = "tuple[int, int, int, list[FieldState]]"
LayoutState: TypeAlias = tuple[tuple[str, ...], int]
ObjectsState: TypeAlias = "tuple[list[LayoutState] | None, list[VariantState], ShapeState | None, bool, bool]"


def dump(shape: Shape) -> ShapeState:
    """A shape and all shapes below it, as a tuple."""
    return (
        (shape.nulls, shape.booleans, shape.integers, shape.numbers, shape.strings, shape.hidden),
        (shape.arrays, shape.unknown, shape.open, shape.fits, shape.least, _dump_number(shape.low)),
        shape.texts,
        dump(shape.items) if shape.items else None,
        _dump_objects(shape.objects) if shape.objects else None,
    )


def load(state: ShapeState) -> Shape:
    """The shape that `dump` wrote."""
    shape = Shape()
    scalars, rest, texts, items, objects = state
    shape.texts = None if texts is None else dict(texts)  # a copy is independent
    shape.nulls, shape.booleans, shape.integers, shape.numbers, shape.strings, shape.hidden = scalars
    shape.arrays, shape.unknown, shape.open, shape.fits, shape.least, low = rest
    shape.low = _load_number(low)
    shape.items = load(items) if items else None
    shape.objects = _load_objects(objects) if objects else None
    return shape


def copied(shape: Shape) -> Shape:
    """An independent copy of a shape."""
    return load(dump(shape))


def size(shape: Shape) -> int:
    """The number of places of the budget that a shape uses, with all below it."""
    total, stack = 0, [shape]
    while stack:
        one = stack.pop()
        total += 1
        if one.items:
            stack.append(one.items)
        if one.objects:
            total += 1 + len(one.objects.layouts or ())
            stack += [field.shape for variant in one.objects.variants for field in variant.fields.values()]
            stack += [one.objects.others] if one.objects.others else []
    return total


def _dump_number(number: float) -> float | str:
    """An integer that msgpack has no type for, as text."""
    fits = isinstance(number, float) or -(2**63) <= number < 2**64
    return number if fits else str(number)


def _load_number(state: float | str) -> float:
    """The number that `_dump_number` wrote; None for an infinite one, which earlier versions stored."""
    number = int(state) if isinstance(state, str) else state
    return number if abs(number) <= FARTHEST else NO_NUMBER


def _dump_objects(objects: Objects) -> ObjectsState:
    objects.flush()
    numbers = {id(variant): index for index, variant in enumerate(objects.variants)}
    layouts = objects.layouts
    return (
        None if layouts is None else [(keys, numbers[id(one.variant)]) for keys, one in layouts.items()],
        [(one.count, one.first, one.last, _dump_fields(one)) for one in objects.variants],
        dump(objects.others) if objects.others else None,
        objects.open,
        objects.folded,
    )


def _dump_fields(variant: Variant) -> list[FieldState]:
    return [
        (key, field.count, field.first, field.last, dump(field.shape))
        for key, field in variant.fields.items()
    ]


def _load_objects(state: ObjectsState) -> Objects:
    objects = Objects()
    layouts, variants, others, objects.open, objects.folded = state
    objects.variants = [_load_variant(one) for one in variants]
    objects.others = load(others) if others else None
    objects.layouts = None if layouts is None else dict(_load_layout(one, objects) for one in layouts)
    return objects


def _load_variant(state: VariantState) -> Variant:
    variant = Variant()
    variant.count, variant.first, variant.last, fields = state
    variant.fields = {
        key: ObjectField(load(shape), count, first, last) for key, count, first, last, shape in fields
    }
    return variant


def _load_layout(state: LayoutState, objects: Objects) -> tuple[tuple[str, ...], Layout]:
    keys, number = state
    sequence = tuple(keys)
    return sequence, Layout(sequence, objects.variants[number])
