"""Merges two places: counts add up, whatever the order and distribution of the values.

Objects are of one variant if at least half of the union of their keys is common; linked variants are joined
transitively, so the order does not matter here either. An absorbed place must not be used any more.
"""

from __future__ import annotations

from collections.abc import Collection

from server.analysis.rebuild.shapes.model import ObjectField, Objects, Shape, Variant

MOST_TEXTS = 64  # distinct strings kept at a place; with more it has no enum
MOST_LAYOUTS = 64  # sequences of keys kept at a place; with more its objects are of one variant
MOST_KEYS = 256  # keys of a place; with more it is a map
ALIKE = 0.5  # share of the union of two sets of keys that must be common to link them


def absorb(shape: Shape, other: Shape) -> None:
    """Merges what another place has learned."""
    shape.nulls += other.nulls
    shape.booleans += other.booleans
    shape.integers += other.integers
    shape.numbers += other.numbers
    shape.hidden += other.hidden
    shape.arrays += other.arrays
    shape.unknown += other.unknown
    shape.strings += other.strings
    shape.fits &= other.fits
    shape.open |= other.open
    shape.least = min(shape.least, other.least)
    shape.low = min(shape.low, other.low)
    _absorb_texts(shape, other)
    shape.items = both(shape.items, other.items)
    if shape.objects is None:
        shape.objects = other.objects
    elif other.objects is not None:
        absorb_objects(shape.objects, other.objects)


def both(some: Shape | None, other: Shape | None) -> Shape | None:
    """Two places merged; either may be missing."""
    if some is None or other is None:
        return other if some is None else some
    absorb(some, other)
    return some


def _absorb_texts(shape: Shape, other: Shape) -> None:
    mine, theirs = shape.texts, other.texts
    if mine is not None and theirs is not None:
        for text, times in theirs.items():
            mine[text] = mine.get(text, 0) + times
        if len(mine) <= MOST_TEXTS:
            return
    kept = theirs if mine is None else mine
    shape.strings += sum(kept.values()) if kept else 0
    shape.texts = None


def absorb_variant(variant: Variant, other: Variant) -> None:
    """Merges the objects of another variant."""
    if other.count:
        variant.record(other.count, other.first, other.last)
    for key, field in other.fields.items():
        mine = variant.fields.get(key)
        if mine is None:
            variant.fields[key] = field
        else:
            _absorb_field(mine, field)


def _absorb_field(field: ObjectField, other: ObjectField) -> None:
    if other.count:
        field.record(other.count, other.first, other.last)
    absorb(field.shape, other.shape)


def absorb_objects(objects: Objects, other: Objects) -> None:
    """Merges the objects of another place."""
    other.flush()
    objects.flush()
    objects.others = both(objects.others, other.others)
    objects.open |= other.open
    if _fit_together(objects, other):
        _absorb_layouts(objects, other)
        return
    loosen(objects)
    for variant in other.variants:
        absorb_variant(objects.variants[0], variant)
    if objects.folded or other.folded or len(objects.variants[0].fields) > MOST_KEYS:
        fold(objects)


def _fit_together(objects: Objects, other: Objects) -> bool:
    """Whether the layouts of two places together are within the bounds."""
    if objects.layouts is None or other.layouts is None:
        return False
    layouts = objects.layouts.keys() | other.layouts.keys()
    return len(layouts) <= MOST_LAYOUTS and len(objects.names | other.names) <= MOST_KEYS


def _absorb_layouts(objects: Objects, other: Objects) -> None:
    """Joins the variants that are linked by any of their layouts."""
    assert objects.layouts is not None
    assert other.layouts is not None
    objects.variants += other.variants
    for sequence, layout in other.layouts.items():
        objects.layouts.setdefault(sequence, layout)
    for layout in other.layouts.values():
        join(objects, [layout.variant, *linked(objects, layout.keys)])


def linked(objects: Objects, keys: frozenset[str]) -> list[Variant]:
    """The variants of layouts whose keys are linked to these."""
    return [one.variant for one in (objects.layouts or {}).values() if is_alike(one.keys, keys)]


def join(objects: Objects, variants: Collection[Variant]) -> Variant:
    """Joins some of the place's variants, at least one, into the first."""
    chosen = {id(variant) for variant in variants}
    first, *more = (one for one in objects.variants if id(one) in chosen)
    if more:
        objects.flush()
        for one in more:
            absorb_variant(first, one)
        gone = chosen - {id(first)}
        objects.variants = [one for one in objects.variants if id(one) not in gone]
        for sequence, layout in (objects.layouts or {}).items():
            if id(layout.variant) in chosen:
                layout.join(sequence, first)
    return first


def loosen(objects: Objects) -> None:
    """Makes all objects one variant, without layouts, from now on."""
    if objects.layouts is None:
        return
    objects.flush()
    objects.variants = [join(objects, objects.variants)] if objects.variants else [Variant()]
    objects.layouts = None
    if len(objects.variants[0].fields) > MOST_KEYS:
        fold(objects)


def fold(objects: Objects) -> None:
    """Treats all keys as values from now on: their places are merged."""
    fields = objects.variants[0].fields
    objects.folded = True
    for field in fields.values():
        objects.others = both(objects.others, field.shape)
    fields.clear()


def is_alike(some: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two sets of keys are linked."""
    common = len(some & others)
    return common >= ALIKE * (len(some) + len(others) - common) if common else not some and not others
