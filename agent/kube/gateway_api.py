"""The parts of Gateway API's objects that are read, as of objects.py.

Fields are those of gateway.networking.k8s.io/v1, and v1beta1 for ReferenceGrant.
"""

from __future__ import annotations

from msgspec import Struct, field

from agent.kube.objects import KubernetesObject

GROUP = "gateway.networking.k8s.io"


class PathMatch(Struct, frozen=True):
    value: str = "/"


class RouteMatch(Struct, frozen=True):
    path: PathMatch = PathMatch()


class BackendRef(Struct, frozen=True):
    """Of the route's own namespace if it names none; of weight 0 it gets no request."""

    name: str = ""
    kind: str = "Service"
    group: str = ""
    namespace: str | None = None
    weight: int = 1

    @property
    def is_service(self) -> bool:
        """Whether it is a Service that gets requests."""
        return (self.group, self.kind) == ("", "Service") and self.weight > 0


class RouteRule(Struct, frozen=True, rename="camel"):
    matches: tuple[RouteMatch, ...] | None = None
    backend_refs: tuple[BackendRef, ...] | None = None


class ParentRef(Struct, frozen=True, rename="camel"):
    """Of the route's own namespace if it names none; of all listeners of a Gateway if it names none."""

    name: str = ""
    kind: str = "Gateway"
    group: str = GROUP
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = None


class RouteCondition(Struct, frozen=True):
    type: str = ""
    status: str = ""


class RouteParent(Struct, frozen=True, rename="camel"):
    """What a controller says of a route and one of its Gateways."""

    parent_ref: ParentRef = ParentRef()
    conditions: tuple[RouteCondition, ...] | None = None

    @property
    def is_accepted(self) -> bool:
        return RouteCondition("Accepted", "True") in (self.conditions or ())


class HttpRouteStatus(Struct, frozen=True):
    parents: tuple[RouteParent, ...] | None = None


class HttpRouteSpec(Struct, frozen=True):
    """Without host names it has those of its Gateways' listeners."""

    hostnames: tuple[str, ...] | None = None
    rules: tuple[RouteRule, ...] | None = None


class HttpRoute(KubernetesObject, frozen=True):
    spec: HttpRouteSpec = HttpRouteSpec()
    status: HttpRouteStatus = HttpRouteStatus()


class RouteNamespaces(Struct, frozen=True):
    """`from` is Same (the Gateway's), All or Selector."""

    source: str = field(default="Same", name="from")


class AllowedRoutes(Struct, frozen=True):
    namespaces: RouteNamespaces = RouteNamespaces()


class GatewayListener(Struct, frozen=True, rename="camel"):
    """Without a host name it takes all."""

    name: str = ""
    port: int = 0
    hostname: str = ""
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewaySpec(Struct, frozen=True):
    listeners: tuple[GatewayListener, ...] | None = None


class Gateway(KubernetesObject, frozen=True):
    spec: GatewaySpec = GatewaySpec()


class GrantFrom(Struct, frozen=True):
    group: str = ""
    kind: str = ""
    namespace: str = ""


class GrantTo(Struct, frozen=True):
    """Without a name all of its kind."""

    group: str = ""
    kind: str = ""
    name: str | None = None


class GrantSpec(Struct, frozen=True, rename={"sources": "from"}):
    sources: tuple[GrantFrom, ...] | None = None
    to: tuple[GrantTo, ...] | None = None


class ReferenceGrant(KubernetesObject, frozen=True):
    """In the namespace of what may be referred to."""

    spec: GrantSpec = GrantSpec()
