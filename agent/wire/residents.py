"""The pods of a node by their addresses: the server names with them the ends that no agent captured."""

from __future__ import annotations

from msgspec import Struct, field


class Resident(Struct, frozen=True, omit_defaults=True):
    """A pod with addresses of its own, as an end of a connection names it (record.Endpoint); or a Service,
    which only the server knows. `since` is its creation: wall-clock ns, 0 if unknown.
    """

    ips: tuple[str, ...]
    pod: str | None
    namespace: str
    workload: str | None = None
    workload_kind: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    since: int = 0
    service: str | None = None


class Residents(Struct, frozen=True):
    """All pods with addresses of their own that run on this node now."""

    cluster: str | None
    node: str
    pods: tuple[Resident, ...]
