"""What Gateways and ReferenceGrants add to HTTPRoutes: hosts, and backends in other namespaces.

A route without host names has those of the listeners that it is attached to: of each Gateway whose controller
accepted it, the listeners that it names, or all, if they allow its namespace (HTTPRouteSpec, "hostnames").
Which namespaces a selector allows is left to the controller. A backend in another namespace counts if a
ReferenceGrant there allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from agent.kube.gateway_api import (
    GROUP,
    BackendRef,
    Gateway,
    GatewayListener,
    GrantFrom,
    HttpRoute,
    ParentRef,
    ReferenceGrant,
)
from server.cluster.services import Name

OWN = "Same"


class Gateways:
    """The Gateways and ReferenceGrants of a cluster, as they are now."""

    def __init__(self, gateways: Iterable[Gateway] = (), grants: Iterable[ReferenceGrant] = ()) -> None:
        self._listeners = {
            (one.metadata.namespace or "", one.metadata.name): one.spec.listeners or () for one in gateways
        }
        self._grants = frozenset(grant for one in grants for grant in _granted(one))

    def hosts(self, route: HttpRoute) -> Iterator[str]:
        """The hosts of a route: its own, or those of its listeners."""
        if route.spec.hostnames:
            yield from route.spec.hostnames
            return
        namespace = route.metadata.namespace or ""
        for parent in route.status.parents or ():
            if parent.is_accepted:
                yield from (one.hostname for one in self._attached(parent.parent_ref, namespace))

    def backend(self, backend: BackendRef, namespace: str) -> Name | None:
        """The Service that a route of this namespace leads to; None if it may not, or it is none."""
        there = backend.namespace or namespace
        grants = {(namespace, there, backend.name), (namespace, there, None)}
        is_allowed = there == namespace or grants & self._grants
        return (there, backend.name) if backend.is_service and is_allowed else None

    def _attached(self, parent: ParentRef, namespace: str) -> Iterator[GatewayListener]:
        if (parent.group, parent.kind) != (GROUP, "Gateway"):
            return
        home = parent.namespace or namespace
        for one in self._listeners.get((home, parent.name), ()):
            is_named = parent.section_name in (None, one.name) and parent.port in (None, one.port)
            if is_named and (one.allowed_routes.namespaces.source != OWN or home == namespace):
                yield one


def _granted(one: ReferenceGrant) -> Iterator[tuple[str, str, str | None]]:
    """From which namespace to which, and to which Service there; None for all."""
    there = one.metadata.namespace or ""
    for source, to in product(one.spec.sources or (), one.spec.to or ()):
        if source == GrantFrom(GROUP, "HTTPRoute", source.namespace) and (to.group, to.kind) == (
            "",
            "Service",
        ):
            yield source.namespace, there, to.name or None
