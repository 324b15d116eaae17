"""How much of an API is learnt: places for values, in bounded number."""

from __future__ import annotations

from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.texts import ALL, OF_JSON

MOST_SHAPES = 60_000  # places of one API; beyond, new places are allowed to be anything


class Budget:
    """How many places may still be made, and the time (ns) of what is being learnt. `wire`: it is texts of
    parameters, which may stand for numbers.
    """

    __slots__ = ("left", "now", "refused", "wire")

    def __init__(self, left: int = MOST_SHAPES) -> None:
        self.wire = False
        self.left = left
        self.now = 0
        self.refused = 0

    def shape(self) -> Shape:
        """A place for what is being learnt."""
        return Shape(ALL if self.wire else OF_JSON)

    def take(self) -> bool:
        """Takes one place; False, counted, where none is left."""
        if self.left <= 0:
            self.refused += 1
            return False
        self.left -= 1
        return True
