"""Where the annotation spectap.io/spec of a Service says that its specification is.

| annotation                             | the specification is                                             |
|----------------------------------------|------------------------------------------------------------------|
| /PATH                                  | at this path of the Service's first TCP port                     |
| :PORT/PATH                             | at this path of the Service's port with this name or number      |
| configmap:NAME or configmap:NAME/KEY   | in a ConfigMap of the Service's namespace                        |

Its author chooses a path, never an address. A Service can be made to lead anywhere, by EndpointSlices that a
user writes: so a document is fetched from the pods behind it, if agents reported them in its namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.kube.objects import EndpointSlice, Service, ServicePort
from agent.kube.read import NAME
from agent.wire import Resident
from server.cluster.services import OF_SERVICE
from server.store.unit import KnownPods

SPEC = "spectap.io/spec"
MAX_SERVICES = 500  # with the annotation; others are passed over
PATH = re.compile(r"(?::([a-z0-9-]{1,63}))?(/[!-\"$-~]{0,400})")
"""A port, then printable ASCII without blanks and `#`."""
CONFIG_MAP = re.compile(r"configmap:([^/]+)(?:/([A-Za-z0-9._-]{1,253}))?")
HTTPS, HTTPS_PORT = "https", 443


@dataclass(frozen=True, slots=True)
class InPods:
    """At any of these URLs, all of pods of the Service's namespace."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InConfigMap:
    """In a ConfigMap of the Service's namespace; `key` may be left out if it has one only."""

    name: str
    key: str | None


@dataclass(frozen=True, slots=True)
class AnnotatedSpec:
    """The specification of a workload, given as its namespace and name, by the Service in front of it."""

    namespace: str
    service: str
    workload: str
    place: InPods | InConfigMap


@dataclass(frozen=True, slots=True)
class Unusable:
    """An annotation without effect at present; `why` is a sentence without capital and period."""

    namespace: str
    service: str
    why: str


class _Unusable(Exception):
    """The message is the reason."""


def annotated(services: Iterable[Service], namespaces: frozenset[str]) -> list[Service]:
    """The Services with the annotation in these namespaces, in the order of their names."""
    some = [
        one
        for one in services
        if one.metadata.namespace in namespaces and (one.metadata.annotations or {}).get(SPEC, "").strip()
    ]
    some.sort(key=lambda one: (one.metadata.namespace or "", one.metadata.name))
    return some[:MAX_SERVICES]


def annotated_specs(
    services: Iterable[Service], slices: Iterable[EndpointSlice], cluster: str | None, pods: KnownPods
) -> Iterator[AnnotatedSpec | Unusable]:
    """What the annotations of these Services mean now."""
    behind: dict[tuple[str, str], list[EndpointSlice]] = {}
    for one in slices:
        of = (one.metadata.namespace or "", one.metadata.label(OF_SERVICE) or "")
        behind.setdefault(of, []).append(one)
    for service in services:
        namespace, name = service.metadata.namespace or "", service.metadata.name
        try:
            yield _spec(service, namespace, behind.get((namespace, name), ()), cluster, pods)
        except _Unusable as unusable:
            yield Unusable(namespace, name, str(unusable))


def _spec(
    service: Service, namespace: str, slices: Sequence[EndpointSlice], cluster: str | None, pods: KnownPods
) -> AnnotatedSpec:
    text = ((service.metadata.annotations or {}).get(SPEC) or "").strip()
    found = {ip: pods.at(cluster, ip) for one in slices for ip in _ready(one)}
    workload = _workload(namespace, [*found.values()])
    in_map, in_pods = CONFIG_MAP.fullmatch(text), PATH.fullmatch(text)
    if in_map is not None and NAME.fullmatch(in_map[1]):
        place: InPods | InConfigMap = InConfigMap(in_map[1], in_map[2])
    elif in_pods is not None:
        place = _in_pods(_port(service, in_pods[1]), in_pods[2], slices)
    else:
        raise _Unusable(f"{SPEC} is neither a path of the Service nor configmap:NAME")
    return AnnotatedSpec(namespace, service.metadata.name, workload, place)


def _ready(one: EndpointSlice) -> Iterator[str]:
    for end in one.endpoints or ():
        if end.conditions.ready is not False:
            yield from end.addresses


def _workload(namespace: str, pods: Sequence[Resident | None]) -> str:
    """The workload of all these pods, which agents reported in this namespace."""
    if not pods:
        raise _Unusable("no pod behind the Service is ready")
    if not all(pod is not None and pod.pod is not None and pod.namespace == namespace for pod in pods):
        raise _Unusable("not all addresses behind the Service are pods of its namespace that agents report")
    names = {pod.workload for pod in pods if pod is not None}
    name = next(iter(names))
    if len(names) != 1 or name is None:
        raise _Unusable("the pods behind the Service are not of one workload")
    return f"{namespace}/{name}"


def _port(service: Service, wanted: str | None) -> ServicePort:
    for one in service.spec.ports or ():
        if one.protocol == "TCP" and wanted in (None, one.name, str(one.port)):
            return one
    raise _Unusable("the Service has no such TCP port")


def _in_pods(port: ServicePort, path: str, slices: Sequence[EndpointSlice]) -> InPods:
    secure = HTTPS in (port.app_protocol, port.name) or port.port == HTTPS_PORT
    scheme = HTTPS if secure else "http"
    urls = {
        f"{scheme}://{f'[{ip}]' if ':' in ip else ip}:{own.port}{path}"
        for one in slices
        for own in one.ports or ()
        if (own.name or "") == port.name and own.port is not None
        for ip in _ready(one)
    }
    if not urls:
        raise _Unusable("no pod behind the Service has this port")
    return InPods(tuple(sorted(urls)))
