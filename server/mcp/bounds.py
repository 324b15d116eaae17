"""Answers of a bounded size: an assistant's context is small, and a captured body may be large.

Long texts and lists are cut, and say by how much. Characters that cannot be seen, by which a text could hide
from the person who reads along, are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from server.analysis.json import Json
from server.analysis.printable import printable

MOST_CHARACTERS = 40_000  # of an answer
SEEN = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of each text, in characters; of each list, in entries; of each object, in members; and how deep."""

    text: int
    entries: int
    members: int
    depth: int = 40


LISTED = Bounds(300, 20, 60)
SINGLE = (
    Bounds(16_000, 500, 500),
    Bounds(4_000, 200, 200),
    Bounds(1_000, 50, 100),
    Bounds(200, 20, 60),
    Bounds(80, 8, 60, 8),
    Bounds(80, 4, 8, 8),
)
"""For one thing: the first by which it fits."""


def written(value: Json) -> str:
    """As JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut(value: Json, bounds: Bounds, depth: int = 0) -> Json:
    """A value within bounds."""
    if isinstance(value, str):
        return shortened(value, bounds.text)
    if isinstance(value, list | dict) and depth >= bounds.depth:
        return f"… {len(value)} entries"
    if isinstance(value, list):
        kept = [cut(one, bounds, depth + 1) for one in islice(value, bounds.entries)]
        return kept if len(value) <= bounds.entries else [*kept, f"… {len(value) - bounds.entries} more"]
    if isinstance(value, dict):
        return dict(_members(value, bounds, depth + 1))
    return value


def _members(value: dict[str, Json], bounds: Bounds, depth: int) -> Iterator[tuple[str, Json]]:
    for name, member in islice(value.items(), bounds.members):
        yield shortened(name, bounds.text), cut(member, bounds, depth)
    if len(value) > bounds.members:
        yield "…", f"{len(value) - bounds.members} more"


def shortened(text: str, most: int) -> str:
    """Its first `most` characters, visible ones."""
    kept = text[:most]
    if not kept.isprintable():
        kept = "".join(char if char in SEEN else printable(char) for char in kept)
    return kept if len(text) <= most else f"{kept}… {len(text) - most} characters more"


def fitting(value: Json) -> str | None:
    """One thing as JSON, cut as little as it takes; None if it does not fit by any of SINGLE."""
    texts = (written(cut(value, bounds)) for bounds in SINGLE)
    return next((text for text in texts if len(text) <= MOST_CHARACTERS), None)
