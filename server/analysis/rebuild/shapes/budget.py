"""The budget of learning: a bounded number of places for values."""

from __future__ import annotations

from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.texts import ALL, OF_JSON

MOST_SHAPES = 60_000  # places of one API; further places allow any value


class Budget:
    """The remaining places, and the time (ns) of the current input. `wire`: it is texts of parameters, which
    may represent numbers.
    """

    __slots__ = ("left", "now", "refused", "wire")

    def __init__(self, left: int = MOST_SHAPES) -> None:
        self.wire = False
        self.left = left
        self.now = 0
        self.refused = 0

    def shape(self) -> Shape:
        """A new shape at the current time."""
        return Shape(ALL if self.wire else OF_JSON)

    def take(self) -> bool:
        """Uses one place; False, and counted, if none is left."""
        if self.left <= 0:
            self.refused += 1
            return False
        self.left -= 1
        return True
