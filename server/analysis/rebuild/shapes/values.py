"""Input of learning: JSON values in which the agent may have masked scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Scalar: TypeAlias = str | int | float


class Hidden:
    """A masked scalar in a value."""

    __slots__ = ("value",)

    def __init__(self, value: Scalar) -> None:
        self.value = value


Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | int | float | bool | Hidden | None"
