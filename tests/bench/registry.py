"""The parts of the benchmark: each module of tests/bench/parts is one, by its name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from tests.bench import parts
from tests.bench.figures import Figure


class Part(Protocol):
    """What a module of tests/bench/parts has to have; the first line of its docstring says what it is."""

    NEEDS_ROOT: bool

    def figures(self, rounds: int) -> Iterator[Figure]:
        """Measures, in so many rounds, and tells each figure as soon as it is known."""
        ...


def names() -> tuple[str, ...]:
    """Every part, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(parts.__path__)))


def part(name: str) -> Part:
    return cast(Part, import_module(f"{parts.__name__}.{name}"))


def about(name: str) -> str:
    return (part(name).__doc__ or "").strip().splitlines()[0]
