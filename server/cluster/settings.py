"""How the server reaches its own cluster's API."""

from __future__ import annotations

from dataclasses import dataclass

from agent.kube.access import Access


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`name` is the one that agents give this cluster; None if they give none."""

    access: Access
    name: str | None
