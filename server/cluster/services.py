"""Services by their addresses, and the workload behind each."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.kube.objects import EndpointSlice, Service
from agent.wire import Resident
from server.store.unit import KnownPods

OF_SERVICE = "kubernetes.io/service-name"
"""The label of an EndpointSlice with the name of its Service (discovery.k8s.io/v1)."""

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class KnownService:
    """A Service's own addresses, those behind it, and its creation (wall-clock ns, 0 if unknown)."""

    namespace: str
    name: str
    ips: tuple[str, ...]
    behind: tuple[str, ...]
    since: int


def known_services(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> tuple[KnownService, ...]:
    """The Services that have an address, in the order of their names."""
    behind = addresses_behind(slices)
    found = [_known(one, behind) for one in services]
    return tuple(sorted((one for one in found if one.ips), key=lambda one: (one.namespace, one.name)))


def addresses_behind(slices: Iterable[EndpointSlice]) -> Mapping[Name, Sequence[str]]:
    """The addresses of each Service's pods."""
    behind: dict[Name, list[str]] = {}
    for one in slices:
        name = (one.metadata.namespace or "", one.metadata.label(OF_SERVICE) or "")
        behind.setdefault(name, []).extend(ip for end in one.endpoints or () for ip in end.addresses)
    return behind


@dataclass(frozen=True, slots=True)
class Workload:
    namespace: str
    workload: str | None
    kind: str | None


def workload_of(ips: Iterable[str], cluster: str | None, pods: KnownPods) -> Workload | None:
    """That of the pods at all these addresses, if they are of one and all are known."""
    found = [pods.at(cluster, ip) for ip in ips]
    workloads = {Workload(pod.namespace, pod.workload, pod.workload_kind) if pod else None for pod in found}
    return next(iter(workloads)) if len(workloads) == 1 else None


def _known(service: Service, behind: Mapping[Name, Sequence[str]]) -> KnownService:
    meta = service.metadata
    name = (meta.namespace or "", meta.name)
    created = meta.creation_timestamp
    return KnownService(
        *name,
        ips=tuple(sorted(set(_addresses(service)))),
        behind=tuple(sorted(set(behind.get(name, ())))),
        since=0 if created is None else int(created.timestamp()) * 1_000_000_000,
    )


def _addresses(service: Service) -> Iterator[str]:
    balanced = (one.ip or "" for one in service.status.load_balancer.ingress or ())
    given = (*(service.spec.cluster_ips or ()), *(service.spec.external_ips or ()), *balanced)
    yield from filter(_is_address, given)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False  # "None" of a headless Service
    return True


def residents(services: Iterable[KnownService], cluster: str | None, pods: KnownPods) -> Iterator[Resident]:
    """What is at the Services' addresses. The workload is that of all pods behind a Service, if they are of
    one.
    """
    for one in services:
        found = workload_of(one.behind, cluster, pods) or Workload(one.namespace, None, None)
        yield Resident(
            ips=one.ips,
            pod=None,
            namespace=found.namespace,
            workload=found.workload,
            workload_kind=found.kind,
            service=one.name,
            since=one.since,
        )
