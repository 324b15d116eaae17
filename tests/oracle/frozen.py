"""Calls and counters as JSON, to keep what an older server counted (tests/data/oracle)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from tests.oracle.calls import Call
from tests.oracle.model import Counts, Key
from tests.oracle.views import Skews

FOLDER = Path(__file__).parent.parent / "data" / "oracle"


@dataclass(frozen=True, slots=True)
class World:
    """Calls, the clocks of the nodes, and a server's counters of them."""

    skews: Skews
    calls: Sequence[Call]
    counts: Counts


def keep(path: Path, worlds: Sequence[World]) -> int:
    """Writes worlds. Returns the size of the file in bytes."""
    names = [field.name for field in fields(Call)]
    plain = {"fields": names, "worlds": [_plain(world) for world in worlds]}
    packed = gzip.compress(json.dumps(plain, separators=(",", ":")).encode(), mtime=0)
    path.write_bytes(packed)
    return len(packed)


def kept(path: Path) -> list[World]:
    """Reads the worlds that `keep` wrote."""
    plain = json.loads(gzip.decompress(path.read_bytes()))
    return [_world(plain["fields"], one) for one in plain["worlds"]]


def _plain(world: World) -> dict[str, Any]:
    counts = {name: _rows(table) for name, table in world.counts.items()}
    return {"skews": world.skews, "calls": [astuple(call) for call in world.calls], "counts": counts}


def _rows(table: Mapping[Key, int]) -> list[list[str | int]]:
    return [[*key, count] for key, count in sorted(table.items(), key=str)]


def _world(names: list[str], plain: dict[str, Any]) -> World:
    return World(
        plain["skews"],
        [Call(**dict(zip(names, values, strict=True))) for values in plain["calls"]],
        {name: {tuple(key): count for *key, count in rows} for name, rows in plain["counts"].items()},
    )
