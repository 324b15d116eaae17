"""The masks of one record: place, rule and count. Bounded."""

from __future__ import annotations

from collections import defaultdict

from agent.wire import Mask

MAX_MASKS = 256
MAX_POINTER = 256  # characters


class MaskLog:
    """Collects a record's masks; beyond MAX_MASKS they are only counted."""

    def __init__(self) -> None:
        self.masks: list[Mask] = []
        self.left_out = 0
        self.rules: defaultdict[str, int] = defaultdict(int)

    def add(self, where: str, pointer: str, rule: str) -> None:
        """Adds a replaced value."""
        self.rules[rule] += 1
        if len(self.masks) >= MAX_MASKS:
            self.left_out += 1
            return
        encodable = pointer[:MAX_POINTER].encode("utf-8", "replace").decode()
        self.masks.append(Mask(where, encodable, rule))

    @property
    def total(self) -> int:
        """Number of values replaced so far."""
        return len(self.masks) + self.left_out

    @property
    def full(self) -> bool:
        """Whether further masks are only counted, so that no pointer is needed."""
        return len(self.masks) >= MAX_MASKS
