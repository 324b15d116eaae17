"""The hosts and paths under which Ingresses and HTTPRoutes lead to workloads.

Of several for one host and path the oldest counts, then the first by namespace and name, as in Gateway API
(HTTPRouteRule, "matches").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

from agent.kube.gateway_api import HttpRoute
from agent.kube.objects import EndpointSlice, Ingress, Meta
from server.cluster.gateways import Gateways
from server.cluster.services import Name, addresses_behind, workload_of
from server.store.unit import KnownPods
from server.store.values import HostRoute

MAX_ROUTES = 10_000
MAX_PATH = 1024  # characters, as HTTPRoute allows; an Ingress may have more
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Exposed:
    """A Service under a host and path; `source` is the object that says so."""

    host: str
    path: str
    source: str
    created: datetime
    service: Name

    @property
    def rank(self) -> tuple[str, str, datetime, str]:
        return self.host, self.path, self.created, self.source


def exposed(
    ingresses: Iterable[Ingress], http_routes: Iterable[HttpRoute], gateways: Gateways
) -> Sequence[Exposed]:
    """Each Service that is named with a host, in the order of hosts, paths and age."""
    found = {one for ingress in ingresses for one in _of_ingress(ingress)}
    found.update(one for route in http_routes for one in _of_http_route(route, gateways))
    return sorted(found, key=lambda one: (*one.rank, one.service))


def routes(
    found: Iterable[Exposed], slices: Iterable[EndpointSlice], cluster: str | None, pods: KnownPods
) -> Sequence[HostRoute]:
    """The routes to workloads that are known; at most MAX_ROUTES."""
    behind = addresses_behind(slices)
    first: dict[tuple[str, str], str] = {}
    kept: dict[HostRoute, None] = {}
    for one in found:
        workload = _workload(behind.get(one.service, ()), cluster, pods)
        if first.setdefault((one.host, one.path), one.source) == one.source and workload is not None:
            kept[HostRoute(one.host, one.path, one.source, *workload)] = None
        if len(kept) == MAX_ROUTES:
            break
    return [*kept]


def _workload(ips: Iterable[str], cluster: str | None, pods: KnownPods) -> tuple[str, str] | None:
    found = workload_of(ips, cluster, pods)
    return None if found is None or found.workload is None else (found.namespace, found.workload)


def _of_ingress(ingress: Ingress) -> Iterator[Exposed]:
    for rule in ingress.spec.rules or ():
        for path in rule.http.paths or ():
            service = path.backend.service
            if service is not None:
                at = (ingress.metadata.namespace or "", service.name)
                yield from _exposed(ingress.metadata, "Ingress", rule.host, path.path, at)


def _of_http_route(route: HttpRoute, gateways: Gateways) -> Iterator[Exposed]:
    hosts = [*gateways.hosts(route)]
    for rule in route.spec.rules or ():
        paths = [match.path.value for match in rule.matches or ()] or ["/"]
        found = (gateways.backend(one, route.metadata.namespace or "") for one in rule.backend_refs or ())
        services = [one for one in found if one is not None]
        for host, path, service in product(hosts, paths, services):
            yield from _exposed(route.metadata, "HTTPRoute", host, path, service)


def _exposed(meta: Meta, kind: str, host: str, path: str, service: Name) -> Iterator[Exposed]:
    if host and len(path) <= MAX_PATH:
        source = f"{kind} {meta.namespace or ''}/{meta.name}"
        created = meta.creation_timestamp or _LATEST
        yield Exposed(host.lower(), path or "/", source, created, service)
