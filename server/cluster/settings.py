"""How the server reaches its own cluster's API, and what it takes from there."""

from __future__ import annotations

from dataclasses import dataclass

from agent.kube.access import Access


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`name` is the one that agents give this cluster; None if they give none. `specs_from` are the
    namespaces whose Services may name their specification by annotation.
    """

    access: Access
    name: str | None
    specs_from: frozenset[str] = frozenset()
