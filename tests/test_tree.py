"""Tests mirror the tree by name: a module's path determines where its tests are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREES = ("agent", "server")


def named() -> Iterator[str]:
    for tree in TREES:
        for path in sorted((ROOT / "tests" / tree).rglob("test_*.py")):
            yield str(path.relative_to(ROOT))


def mirrored(test: str) -> bool:
    """Whether `tests/a/b/test_c_more.py` is about `a/b/c.py`, the package `a/b/c` or the folder `c`."""
    path = Path(test)
    folder = ROOT / path.parent.relative_to("tests")
    words = path.stem.removeprefix("test_").split("_")
    stems = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    return words[0] == folder.name or any(
        (folder / f"{stem}.py").exists() or (folder / stem / "__init__.py").exists() for stem in stems
    )


@pytest.mark.parametrize("test", list(named()))
def test_every_test_is_named_after_what_it_tests(test: str) -> None:
    assert mirrored(test), f"no module or package for {test}: name it after what it tests, and put it beside"
