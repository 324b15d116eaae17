"""Which of the words at one place are values of a parameter, and which are words of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.analysis.rebuild.template_nodes import Node, is_fold

Children = Mapping[str, list[Node]]


@dataclass(frozen=True, slots=True)
class Partition:
    """The children of a place: words that stay, and the keys of one parameter by the suffix they share."""

    literals: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


def partition(children: Children, depth: int) -> Partition:
    """Tells the children of a place apart; `depth` is how many segments stand before it."""
    literals: list[str] = []
    values: dict[str, list[str]] = {}
    for key, nodes in children.items():
        if not is_fold(key) or (depth < 2 and _is_one_value(nodes)):
            literals.append(key)
        else:
            values.setdefault(key.rpartition("\0")[2], []).append(key)
    return Partition(
        tuple(sorted(literals)), {suffix: tuple(sorted(keys)) for suffix, keys in values.items()}
    )


def _is_one_value(nodes: list[Node]) -> bool:
    """A number or date that never changes, near the root, is a version: /2010-04-01/accounts."""
    return len(nodes) == 1 and nodes[0].seen.bit_count() == 1 and nodes[0].least is not None
