"""What was learned of the values at one place: only counts, so that places merge by addition (see
merging.py).

The order of traffic does not matter until a bound is reached; each bound widens what is allowed and never
narrows it, so that learned values always conform. Of a masked value only type and format are learned.
"""

from __future__ import annotations

from server.analysis.rebuild.shapes.texts import ALL

NO_TEXT = "\U0010ffff"  # greater than any example
NO_NUMBER = float("inf")
FARTHEST = 10**64  # distance from zero of a number that may be an example
NEVER = 2**63  # ns; later than anything


class Shape:
    """The values at one place. `texts` counts strings until there are too many distinct ones (None);
    `strings` counts those not in `texts`, `hidden` the masked ones, which are in neither. `unknown` values,
    and items if `open`, may be anything.
    """

    __slots__ = (
        "arrays",
        "booleans",
        "fits",
        "hidden",
        "integers",
        "items",
        "least",
        "low",
        "nulls",
        "numbers",
        "objects",
        "open",
        "strings",
        "texts",
        "unknown",
    )

    def __init__(self, fits: int = ALL) -> None:
        self.nulls = self.booleans = self.integers = self.numbers = 0
        self.strings = self.hidden = self.arrays = self.unknown = 0
        self.texts: dict[str, int] | None = {}
        self.fits = fits
        self.open = False
        self.least = NO_TEXT
        self.low: float = NO_NUMBER
        self.items: Shape | None = None
        self.objects: Objects | None = None

    @property
    def all_strings(self) -> int:
        return self.strings + self.hidden + (sum(self.texts.values()) if self.texts else 0)

    @property
    def count(self) -> int:
        """Number of values learned here."""
        scalars = self.nulls + self.booleans + self.integers + self.numbers + self.all_strings
        return scalars + self.arrays + self.unknown + (self.objects.count if self.objects else 0)

    def lower(self, number: float) -> None:
        """Sets `low` to a smaller number. 1.0 is kept as 1, so that their order does not matter."""
        if abs(number) <= FARTHEST:
            whole = int(number)
            self.low = whole if whole == number else number


class ObjectField:
    """One key of a variant: the number of objects with it, and their times (ns)."""

    __slots__ = ("count", "first", "last", "shape")

    def __init__(self, shape: Shape, count: int = 0, first: int = 0, last: int = 0) -> None:
        self.shape = shape
        self.count = count
        self.first = first
        self.last = last

    def record(self, count: int, first: int, last: int) -> None:
        """Adds `count` objects with this key, from `first` to `last`."""
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last)
        self.count += count


class Variant:
    """Objects of one variant. Field counts include only settled layouts."""

    __slots__ = ("count", "fields", "first", "last")

    def __init__(self) -> None:
        self.count = self.first = self.last = 0
        self.fields: dict[str, ObjectField] = {}

    def record(self, count: int, first: int, last: int) -> None:
        """Adds `count` objects, from `first` to `last`."""
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last)
        self.count += count


class Layout:
    """One sequence of keys, with its places in order; `count` objects are not yet counted in its variant."""

    __slots__ = ("count", "first", "keys", "last", "shapes", "variant")

    def __init__(self, sequence: tuple[str, ...], variant: Variant) -> None:
        self.keys = frozenset(sequence)
        self.count = self.last = 0
        self.first = NEVER
        self.join(sequence, variant)

    def join(self, sequence: tuple[str, ...], variant: Variant) -> None:
        """Assigns the layout to a variant, which has all of its keys."""
        self.variant = variant
        self.shapes = [variant.fields[key].shape for key in sequence]

    def flush(self) -> None:
        """Moves the count to the variant and its fields."""
        if not self.count:
            return
        count, first, last, self.count = self.count, self.first, self.last, 0
        self.variant.record(count, first, last)
        for key in self.keys:
            self.variant.fields[key].record(count, first, last)


class Objects:
    """The objects at one place: their variants and the values of each key.

    Objects with linked sets of keys are one variant. `layouts` is None once there were too many; `folded`:
    there were too many keys. `others` holds the values of keys that are values themselves; `open`: some of
    those were not learned.
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
        self.flush()
        return sum(variant.count for variant in self.variants)

    @property
    def names(self) -> set[str]:
        """All keys that have a place of their own."""
        return {key for variant in self.variants for key in variant.fields}

    def flush(self) -> None:
        """Updates the counts of variants and fields."""
        for layout in (self.layouts or {}).values():
            layout.flush()
