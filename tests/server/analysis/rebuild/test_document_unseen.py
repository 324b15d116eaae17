"""A document learned from half of the records accepts the other half, and refuses what is wrong in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

import pytest

from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.load import load
from tests.server.analysis.rebuild.traffic import call, learnt

RECORDS = 200
ENUMS, FORMATS = {"color", "kind", "role", "state"}, {"id", "since"}


def polymorphic(chance: Random, depth: int = 0) -> Any:
    """Objects within objects, told apart by a key."""
    kind = chance.choice(["circle", "square", *["group"] * (depth < 3)])
    found: dict[str, Any] = {"kind": kind, "id": str(UUID(int=chance.getrandbits(128), version=4))}
    if kind == "group":
        return {**found, "children": [polymorphic(chance, depth + 1) for _ in range(chance.randrange(4))]}
    if kind == "square":
        return {**found, "side": chance.randrange(9), "color": chance.choice(["red", "green", "blue"])}
    return {**found, "radius": chance.random()}


def keyed_by_ids(chance: Random) -> Any:
    """A map whose keys are numbers."""
    return {
        "users": {
            str(chance.randrange(10**6)): {
                "role": chance.choice(["admin", "editor", "viewer"]),
                "since": f"20{chance.randrange(10, 27)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}",
            }
            for _ in range(chance.randrange(6))
        }
    }


def sparse(chance: Random) -> Any:
    """Optional and nullable fields, and arrays of mixed types."""
    optional = {f"field{letter}": 1 for letter in "abcdefghijklmnopqrst" if chance.random() < 0.08}
    return {
        "state": chance.choice(["open", "closed", "held"]),
        "parent": chance.choice([None, chance.randrange(99)]),
        "mixed": chance.choice([[1, "a", None], [{"t": 1}], ["b", 2.5], []]),
        **optional,
    }


def wrong(value: Any) -> Iterator[Any]:
    """The value with one text in it that no enum or format allows, for each."""
    places = [(node, key) for node in objects(value) for key in node if key in ENUMS | FORMATS]
    for number in range(len(places)):
        other = copy.deepcopy(value)
        node, key = [(node, key) for node in objects(other) for key in node if key in ENUMS | FORMATS][number]
        node[key] = "nonsense!"
        yield other


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


@pytest.mark.parametrize("make", [polymorphic, keyed_by_ids, sparse])
def test_unseen_records_conform_and_altered_ones_deviate(make: Callable[[Random], Any]) -> None:
    chance = Random(7)
    known, unseen = ([{"found": make(chance)} for _ in range(RECORDS)] for _ in range(2))
    learned = learnt(call(path=f"/things/{number}", answer=one) for number, one in enumerate(known))
    specification = load(json.dumps(document(learned, DocumentOptions("Things"))).encode())

    def verdict(value: Any) -> Verdict:
        return specification.match(call(path="/things/7", answer=value)).verdict

    assert [one for one in unseen if verdict(one) is not Verdict.CONFORMING] == []
    caught = [verdict(other) is Verdict.DEVIATING for one in unseen[:40] for other in wrong(one)]
    assert sum(caught) >= 0.97 * len(caught) > 0
