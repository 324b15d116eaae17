"""The parts of the benchmark: each module of tests/bench/parts, by name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from tests.bench import parts
from tests.bench.figures import Figure


class Part(Protocol):
    """The interface of a module in tests/bench/parts. The first line of its docstring describes the part."""

    NEEDS_ROOT: bool

    def figures(self, rounds: int) -> Iterator[Figure]:
        """Measures for a number of rounds, and yields each figure as soon as it is known."""
        ...


def names() -> tuple[str, ...]:
    """All parts, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(parts.__path__)))


def part(name: str) -> Part:
    return cast(Part, import_module(f"{parts.__name__}.{name}"))


def about(name: str) -> str:
    return (part(name).__doc__ or "").strip().splitlines()[0]
