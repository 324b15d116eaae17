"""The objects of one place: which keys come together, and what each of them holds.

Objects whose sets of keys are alike are variants of one kind: two sets are linked if at least half of their
union is common, and what is linked at all is one variant. That does not depend on the order in which the
sets came. Keys that are values themselves (numbers, UUIDs, dates) have one place for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from server.analysis.rebuild.template_values import kind_of

if TYPE_CHECKING:
    from server.analysis.rebuild.shape_model import Budget, Shape

MOST_LAYOUTS = 64  # sequences of keys told apart at a place; with more its objects are of one variant
MOST_KEYS = 256  # keys of a place; with more it is a map
LONGEST_KEY = 120  # characters; a longer key is a value
NEVER = 2**63  # ns; later than anything
ALIKE = 0.5  # of the union of two sets of keys, the part in common that links them


class Field:
    """One key of a variant: in how many objects, and when (ns)."""

    __slots__ = ("count", "first", "last", "shape")

    def __init__(self, shape: Shape, count: int = 0, first: int = 0, last: int = 0) -> None:
        self.shape = shape
        self.count = count
        self.first = first
        self.last = last

    def see(self, count: int, first: int, last: int) -> None:
        """Adds `count` objects that had this key, seen from `first` to `last`."""
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last)
        self.count += count

    def absorb(self, other: Field) -> None:
        if other.count:
            self.see(other.count, other.first, other.last)
        self.shape.absorb(other.shape)


class Variant:
    """Objects of one kind. Counts of fields are those of settled layouts."""

    __slots__ = ("count", "fields", "first", "last")

    def __init__(self) -> None:
        self.count = self.first = self.last = 0
        self.fields: dict[str, Field] = {}

    def see(self, count: int, first: int, last: int) -> None:
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last)
        self.count += count

    def absorb(self, other: Variant) -> None:
        if other.count:
            self.see(other.count, other.first, other.last)
        for key, field in other.fields.items():
            mine = self.fields.get(key)
            if mine is None:
                self.fields[key] = field
            else:
                mine.absorb(field)


class Layout:
    """One sequence of keys, with its places in order; `count` is what is not yet in its variant."""

    __slots__ = ("count", "first", "keys", "last", "shapes", "variant")

    def __init__(self, keys: frozenset[str], variant: Variant) -> None:
        self.keys = keys
        self.variant = variant
        self.shapes: list[Shape] = []
        self.count = self.last = 0
        self.first = NEVER

    def settle(self) -> None:
        """Moves the count to the variant and its fields."""
        if not self.count:
            return
        count, first, last, self.count = self.count, self.first, self.last, 0
        self.variant.see(count, first, last)
        for key in self.keys:
            self.variant.fields[key].see(count, first, last)


class Objects:
    """`layouts` is None once there were too many; `folded` once there were too many keys. `others` holds
    the values of keys that are values themselves; `open` says that some of them were not learnt.
    """

    __slots__ = ("folded", "layouts", "open", "others", "variants")

    def __init__(self) -> None:
        self.layouts: dict[tuple[str, ...], Layout] | None = {}
        self.variants: list[Variant] = []
        self.others: Shape | None = None
        self.open = False
        self.folded = False

    @property
    def count(self) -> int:
        self.settle()
        return sum(variant.count for variant in self.variants)

    def learn(self, value: dict[str, Any], budget: Budget, depth: int) -> None:
        """Learns from one object; `depth` is how many levels are above its values."""
        layouts = self.layouts
        if layouts is None:
            self._learn_loose(value, budget, depth)
            return
        layout = layouts.get(tuple(value))
        if layout is None:
            layout = self._find(value, budget)
            if layout is None:
                self._learn_loose(value, budget, depth)
                return
        layout.count += 1
        now = budget.now
        if now > layout.last:
            layout.last = now
        if now < layout.first:
            layout.first = now
        if len(layout.shapes) < len(value):
            value = self._take_others(value, layout.keys, budget, depth)
        for shape, one in zip(layout.shapes, value.values(), strict=False):
            kind = type(one)  # the most frequent kinds without a call: half of all learning is here
            if kind is str:
                texts = shape.texts
                if texts is not None and one in texts:
                    texts[one] += 1
                elif texts is not None or shape.fits or one < shape.least:
                    shape.text(one)
                else:
                    shape.strings += 1
            elif kind is int:
                shape.integers += 1
                if one < shape.low:
                    shape.lower(one)
            elif kind is dict and shape.objects is not None:
                shape.objects.learn(one, budget, depth + 1)
            else:
                shape.learn(one, budget, depth)

    def _take_others(
        self, value: dict[str, Any], keys: frozenset[str], budget: Budget, depth: int
    ) -> dict[str, Any]:
        """Learns from what stands under keys that are values; the object without them."""
        named = {}
        for key, one in value.items():
            if key in keys:
                named[key] = one
            else:
                self._learn_other(one, budget, depth)
        return named

    def _learn_other(self, value: Any, budget: Budget, depth: int) -> None:
        if self.others is None:
            if not budget.take():
                self.open = True
                return
            self.others = budget.shape()
        self.others.learn(value, budget, depth)

    def _find(self, value: dict[str, Any], budget: Budget) -> Layout | None:
        """The layout of an object that was not met in this form; None where there are too many."""
        assert self.layouts is not None
        keys = tuple(key for key in value if not _is_value(key))
        layout = self.layouts.get(keys)
        if layout is not None:
            return layout
        if len(self.layouts) >= MOST_LAYOUTS or not self._room(keys, budget):
            self._loosen()
            return None
        return self._add(keys, budget)

    def _room(self, keys: tuple[str, ...], budget: Budget) -> bool:
        """Whether the keys that are new here fit the bounds."""
        known = {key for variant in self.variants for key in variant.fields}
        fresh = len(set(keys) - known)
        return len(known) + fresh <= MOST_KEYS and 2 * len(keys) + 1 <= budget.left

    def _add(self, keys: tuple[str, ...], budget: Budget) -> Layout:
        assert self.layouts is not None
        named = frozenset(keys)
        variant = self._variant_of(named)
        for key in keys:
            if key not in variant.fields:
                budget.take()
                variant.fields[key] = Field(budget.shape())
        budget.take()
        layout = self.layouts[keys] = Layout(named, variant)
        layout.shapes = [variant.fields[key].shape for key in keys]
        return layout

    def _variant_of(self, keys: frozenset[str]) -> Variant:
        """The variant that these keys belong to; those that they link become one."""
        assert self.layouts is not None
        linked = {
            id(layout.variant): layout.variant
            for layout in self.layouts.values()
            if is_alike(layout.keys, keys)
        }
        if not linked:
            self.variants.append(Variant())
            return self.variants[-1]
        first, *more = (variant for variant in self.variants if id(variant) in linked)
        if more:
            self._join(first, more)
        return first

    def _join(self, variant: Variant, more: Iterable[Variant]) -> None:
        self.settle()
        gone = {id(other) for other in more}
        for other in more:
            variant.absorb(other)
        self.variants = [one for one in self.variants if id(one) not in gone]
        for keys, layout in (self.layouts or {}).items():
            if id(layout.variant) in gone:
                layout.variant = variant
            if layout.variant is variant:
                layout.shapes = [variant.fields[key].shape for key in keys]

    def settle(self) -> None:
        """Brings the counts of variants and fields up to date."""
        for layout in (self.layouts or {}).values():
            layout.settle()

    def _loosen(self) -> None:
        """From now on all objects are of one variant, and no layout is told apart."""
        if self.layouts is None:
            return
        if len(self.variants) > 1:
            self._join(self.variants[0], self.variants[1:])
        self.settle()
        self.layouts = None
        self.variants = self.variants or [Variant()]
        self._fold_if_many()

    def _learn_loose(self, value: dict[str, Any], budget: Budget, depth: int) -> None:
        variant, now = self.variants[0], budget.now
        variant.see(1, now, now)
        fields = variant.fields
        for key, one in value.items():
            field = fields.get(key)
            if field is None:
                field = self._new_field(key, fields, budget)
                if field is None:
                    self._learn_other(one, budget, depth)
                    continue
                fields = variant.fields
            field.see(1, now, now)
            field.shape.learn(one, budget, depth)

    def _new_field(self, key: str, fields: dict[str, Field], budget: Budget) -> Field | None:
        if self.folded or _is_value(key):
            return None
        if len(fields) >= MOST_KEYS:
            self._fold()
            return None
        if not budget.take():
            return None
        field = fields[key] = Field(budget.shape())
        return field

    def _fold_if_many(self) -> None:
        if len(self.variants[0].fields) > MOST_KEYS:
            self._fold()

    def _fold(self) -> None:
        """From now on all keys are values: their places become one."""
        fields = self.variants[0].fields
        self.folded = True
        for field in fields.values():
            if self.others is None:
                self.others = field.shape
            else:
                self.others.absorb(field.shape)
        fields.clear()

    def absorb(self, other: Objects) -> None:
        """Adds all that another place has learnt; `other` is not to be used any more."""
        other.settle()
        self.settle()
        if self.others is None:
            self.others = other.others
        elif other.others is not None:
            self.others.absorb(other.others)
        self.open |= other.open
        if self.layouts is None or other.layouts is None or not self._absorb_layouts(other):
            self._loosen()
            for variant in other.variants:
                self.variants[0].absorb(variant)
            if other.folded or self.folded:
                self._fold()
            self._fold_if_many()

    def _absorb_layouts(self, other: Objects) -> bool:
        """Joins variants that are linked by any of their layouts; False where there are too many."""
        assert self.layouts is not None
        assert other.layouts is not None
        keys = {key for one in (self, other) for variant in one.variants for key in variant.fields}
        if len(self.layouts.keys() | other.layouts.keys()) > MOST_LAYOUTS or len(keys) > MOST_KEYS:
            return False
        for sequence, layout in other.layouts.items():
            if sequence not in self.layouts:
                self.layouts[sequence] = layout
        self.variants += other.variants
        for sequence, layout in other.layouts.items():
            mine = self.layouts[sequence]
            linked = {
                id(one.variant): one.variant
                for one in self.layouts.values()
                if is_alike(one.keys, layout.keys)
            }
            linked.update({id(mine.variant): mine.variant, id(layout.variant): layout.variant})
            first, *more = (variant for variant in self.variants if id(variant) in linked)
            if more:
                self._join(first, more)
                for one in other.layouts.values():
                    if id(one.variant) in {id(gone) for gone in more}:
                        one.variant = first
        return True


def is_alike(some: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two sets of keys are linked."""
    common = len(some & others)
    return common >= ALIKE * (len(some) + len(others) - common) if common else not some and not others


def _is_value(key: str) -> bool:
    """Whether a key is a value itself; one with a sign, such as "+1", names a choice."""
    return len(key) > LONGEST_KEY or (kind_of(key) is not None and key[0] not in "+-")
