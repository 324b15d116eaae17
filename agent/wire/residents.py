"""The pods of a node by their addresses: the server names with them the ends that no agent captured."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

MAX_RESIDENTS = 4096  # pods of a node; kubelet's default bound is 110
MAX_OF_POD = 1024  # addresses, and labels


class Resident(Struct, frozen=True, omit_defaults=True):
    """A pod with addresses of its own, as an end of a connection names it (record.Endpoint); or a Service,
    which only the server knows. `since` is its creation: wall-clock ns, 0 if unknown.
    """

    ips: Annotated[tuple[str, ...], Meta(max_length=MAX_OF_POD)]
    pod: str | None
    namespace: str
    workload: str | None = None
    workload_kind: str | None = None
    labels: Annotated[dict[str, str], Meta(max_length=MAX_OF_POD)] = field(default_factory=dict)
    since: int = 0
    service: str | None = None


class Residents(Struct, frozen=True):
    """All pods with addresses of their own that run on this node now."""

    cluster: str | None
    node: str
    pods: Annotated[tuple[Resident, ...], Meta(max_length=MAX_RESIDENTS)]
