"""Whether the objects at one place are several variants, one, or a map."""

from __future__ import annotations

from functools import reduce

from server.analysis.rebuild.shapes.merging import absorb, absorb_variant
from server.analysis.rebuild.shapes.model import ObjectField, Objects, Shape, Variant
from server.analysis.rebuild.shapes.stored import copied

ENOUGH_FOR_REQUIRED = 10  # objects, all with the key, before it is required
MOST_VARIANTS = 3  # alternatives at one place; with more they are merged
MANY_KEYS = 64  # keys with like values that make even one object a map
SOME_KEYS = 8  # keys that a place needs to be a map at all
SPARSE = 0.4  # the largest average share of a map's keys in an object


def seen_variants(objects: Objects) -> list[Variant]:
    """The variants that have objects, in the order of their keys."""
    objects.flush()
    return sorted((one for one in objects.variants if one.count), key=lambda one: sorted(one.fields))


def alternatives(variants: list[Variant]) -> list[Variant]:
    """The variants if they are few and distinguishable; else one of all."""
    apart = len(variants) <= MOST_VARIANTS and _are_apart(variants)
    return variants if apart else [together(variants)]


def _are_apart(variants: list[Variant]) -> bool:
    """Whether each variant has a key that is always present, and in no other variant: otherwise an invalid
    object of one could pass as another.
    """
    return len(variants) == 1 or all(
        any(
            all(key not in other.fields for other in variants if other is not one)
            for key in required_keys(one)
        )
        for one in variants
    )


def required_keys(variant: Variant) -> list[str]:
    """Keys that every object had, if there were enough objects."""
    if variant.count < ENOUGH_FOR_REQUIRED:
        return []
    return sorted(key for key, field in variant.fields.items() if field.count == variant.count)


def is_map(variant: Variant, others: Shape | None) -> bool:
    """Whether the keys are values: many, each in few objects, all with like values."""
    fields = variant.fields.values()
    if not fields:
        return others is not None
    if len(fields) < SOME_KEYS:
        return False
    fill = sum(field.count for field in fields) / (variant.count * len(fields))
    sparse = variant.count > 1 and fill <= SPARSE and max(f.count for f in fields) < variant.count
    return (sparse or len(fields) >= MANY_KEYS) and _is_one_kind([field.shape for field in fields])


def _is_one_kind(shapes: list[Shape]) -> bool:
    """Whether all places have values of one type, and objects with common keys."""
    kinds = {kind_of_values(shape) for shape in shapes} - {frozenset()}
    if len(kinds) != 1:
        return False
    if kinds != {frozenset({"object"})}:
        return True
    keys = [shape.objects.names for shape in shapes if shape.objects]
    every = set().union(*keys)
    return 2 * sum(map(len, keys)) >= len(every) * len(keys)


def kind_of_values(shape: Shape) -> frozenset[str]:
    """The types of a place's values, without null."""
    held = {
        "string": shape.all_strings,
        "number": shape.integers or shape.numbers,
        "boolean": shape.booleans,
        "array": shape.arrays,
        "object": shape.objects is not None,
    }
    return frozenset(kind for kind, holds in held.items() if holds)


def merged(shapes: list[Shape]) -> Shape:
    """One place merged from several, which are not changed."""
    if len(shapes) == 1:
        return shapes[0]
    return reduce(_absorbed, map(copied, shapes), Shape())


def _absorbed(one: Shape, other: Shape) -> Shape:
    absorb(one, other)
    return one


def together(variants: list[Variant]) -> Variant:
    """One variant merged from several, which are not changed."""
    if len(variants) == 1:
        return variants[0]
    found = Variant()
    for variant in variants:
        absorb_variant(found, _copied(variant))
    return found


def _copied(variant: Variant) -> Variant:
    copy = Variant()
    copy.record(variant.count, variant.first, variant.last)
    copy.fields = {
        key: ObjectField(copied(field.shape), field.count, field.first, field.last)
        for key, field in variant.fields.items()
    }
    return copy
