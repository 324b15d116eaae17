"""Keeps the store informed of the cluster's Services: their addresses, and the hosts that lead to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from agent.kube.gateway_api import Gateway, HttpRoute, ReferenceGrant
from agent.kube.objects import EndpointSlice, Ingress, KubernetesObject, Service
from agent.kube.watch import ObjectKind, Watch
from agent.wire import Residents
from server.background import BackgroundThread, Pace
from server.cluster.gateways import Gateways
from server.cluster.routes import Exposed, exposed, routes
from server.cluster.services import KnownService, known_services, residents
from server.cluster.settings import ClusterSettings
from server.store.store import Store
from server.store.unit import Unit

SERVICES = ObjectKind("services", "/api/v1/services", Service)
SLICES = ObjectKind("endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", EndpointSlice)
INGRESSES = ObjectKind("ingresses", "/apis/networking.k8s.io/v1/ingresses", Ingress, is_optional=True)
HTTP_ROUTES = ObjectKind(
    "httproutes", "/apis/gateway.networking.k8s.io/v1/httproutes", HttpRoute, is_optional=True
)
GATEWAYS = ObjectKind("gateways", "/apis/gateway.networking.k8s.io/v1/gateways", Gateway, is_optional=True)
GRANTS = ObjectKind(
    "referencegrants",
    "/apis/gateway.networking.k8s.io/v1beta1/referencegrants",
    ReferenceGrant,
    is_optional=True,
)
PLACE = "(services)"
"""Takes the place of a node's name in the store."""
TICK_S = 1.0
REPEAT_S = 60.0  # pods behind Services become known after these

T = TypeVar("T", bound=KubernetesObject)


class Kept(Generic[T]):
    """All objects of one kind; any thread may read them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[tuple[str | None, str], T] = {}
        self.version = 0
        """Grows with each change."""

    def all(self) -> Sequence[T]:
        with self._lock:
            return [*self._objects.values()]

    def replace(self, objects: Sequence[T]) -> None:
        with self._lock:
            self._objects = {_name(one): one for one in objects}
            self.version += 1

    def put(self, one: T) -> None:
        with self._lock:
            self._objects[_name(one)] = one
            self.version += 1

    def remove(self, one: T) -> None:
        with self._lock:
            self._objects.pop(_name(one), None)
            self.version += 1


class ServiceNames:
    """Started and stopped with the server."""

    def __init__(
        self, settings: ClusterSettings, store: Store, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._cluster, self._store, self._clock = settings.name, store, clock
        self.services: Kept[Service] = Kept()
        self.slices: Kept[EndpointSlice] = Kept()
        self._watches = (
            Watch(settings.access, SERVICES, self.services),
            Watch(settings.access, SLICES, self.slices),
        )
        self._ingresses: Kept[Ingress] = Kept()
        self._http_routes: Kept[HttpRoute] = Kept()
        self._gateways: Kept[Gateway] = Kept()
        self._grants: Kept[ReferenceGrant] = Kept()
        self._of_hosts = (
            Watch(settings.access, INGRESSES, self._ingresses),
            Watch(settings.access, HTTP_ROUTES, self._http_routes),
            Watch(settings.access, GATEWAYS, self._gateways),
            Watch(settings.access, GRANTS, self._grants),
        )
        self._written: tuple[int, ...] | None = None
        self._written_s = 0.0
        self._thread = BackgroundThread("names of services", self._turn, TICK_S)
        self.threads: tuple[BackgroundThread, ...] = (self._thread,)

    @property
    def are_listed(self) -> bool:
        """Whether all Services and EndpointSlices were listed once."""
        return all(watch.is_listed for watch in self._watches)

    def start(self) -> None:
        for watch in (*self._watches, *self._of_hosts):
            watch.start()
        self._thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """Finishes the current turn, unless that takes longer than `seconds`."""
        for watch in (*self._watches, *self._of_hosts):
            watch.stop()
        self._thread.stop(seconds)

    def _turn(self, asked: set[int]) -> Pace:
        of_hosts = (self._ingresses, self._http_routes, self._gateways, self._grants)
        kinds = (self.services, self.slices, *of_hosts)
        version, now_s = tuple(kind.version for kind in kinds), time.monotonic()
        is_due = version != self._written or now_s - self._written_s >= REPEAT_S
        if is_due and self.are_listed:
            slices = self.slices.all()
            known = known_services(self.services.all(), slices)
            gateways = Gateways(self._gateways.all(), self._grants.all())
            hosts = exposed(self._ingresses.all(), self._http_routes.all(), gateways)
            now = self._clock()
            self._store.write(lambda unit: self._record(unit, known, hosts, slices, now)).result()
            self._written, self._written_s = version, now_s
        return Pace.WHEN_ASKED

    def _record(
        self,
        unit: Unit,
        known: Sequence[KnownService],
        hosts: Sequence[Exposed],
        slices: Sequence[EndpointSlice],
        now: int,
    ) -> None:
        found = tuple(residents(known, self._cluster, unit.pods))
        unit.pods.record(Residents(self._cluster, PLACE, found), now)
        if all(watch.is_listed or watch.trouble for watch in self._of_hosts):
            unit.routes.record(self._cluster, routes(hosts, slices, self._cluster, unit.pods), now)


class NoServiceNames:
    """The cluster is not asked."""

    threads: tuple[BackgroundThread, ...] = ()

    def start(self) -> None:
        """Nothing to start."""

    def stop(self, seconds: float | None = None) -> None:
        """Nothing to stop."""


def _name(one: KubernetesObject) -> tuple[str | None, str]:
    return one.metadata.namespace, one.metadata.name
