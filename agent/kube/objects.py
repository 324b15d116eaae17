"""The parts of Kubernetes objects that are read; whatever else they hold is passed over while decoding.

Fields are those of the API (core/v1, discovery.k8s.io/v1, networking.k8s.io/v1). The API leaves out what is
empty.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

Texts = dict[str, str]


class Owner(Struct, frozen=True):
    kind: str
    name: str
    controller: bool | None = None


class Meta(Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    owner_references: tuple[Owner, ...] | None = None

    def label(self, key: str) -> str | None:
        return (self.labels or {}).get(key)

    def annotation(self, key: str) -> str | None:
        return (self.annotations or {}).get(key)


class KubernetesObject(Struct, frozen=True):
    """Of any kind; of namespaces nothing else is read."""

    metadata: Meta


class PodSpec(Struct, frozen=True, rename="camel"):
    node_name: str | None = None
    host_network: bool | None = None


class PodIp(Struct, frozen=True):
    ip: str


class ContainerStatus(Struct, frozen=True):
    """`container_id` is RUNTIME://ID, absent until it runs; `image_id` has the digest."""

    name: str
    image: str = ""
    image_id: str = field(default="", name="imageID")
    container_id: str | None = field(default=None, name="containerID")


class PodStatus(Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ips: tuple[PodIp, ...] | None = field(default=None, name="podIPs")
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(KubernetesObject, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class LoadBalancerIngress(Struct, frozen=True):
    ip: str | None = None


class LoadBalancerStatus(Struct, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(Struct, frozen=True, rename="camel"):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class ServicePort(Struct, frozen=True, rename="camel"):
    """Its number is that of the Service; the pods' own is in the EndpointSlices, by the same name."""

    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    app_protocol: str | None = None


class ServiceSpec(Struct, frozen=True):
    """A headless Service has "None" for an address."""

    cluster_ips: tuple[str, ...] | None = field(default=None, name="clusterIPs")
    external_ips: tuple[str, ...] | None = field(default=None, name="externalIPs")
    ports: tuple[ServicePort, ...] | None = None


class Service(KubernetesObject, frozen=True):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(Struct, frozen=True):
    """Unknown is None, and counts as ready."""

    ready: bool | None = None


class SliceEndpoint(Struct, frozen=True):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()


class SlicePort(Struct, frozen=True):
    name: str | None = None
    port: int | None = None


class EndpointSlice(KubernetesObject, frozen=True):
    """Some of the addresses behind the Service that the label kubernetes.io/service-name names."""

    endpoints: tuple[SliceEndpoint, ...] | None = None
    ports: tuple[SlicePort, ...] | None = None


class BackendService(Struct, frozen=True):
    name: str = ""


class IngressBackend(Struct, frozen=True):
    """Without a Service it is another object, such as a bucket."""

    service: BackendService | None = None


class IngressPath(Struct, frozen=True):
    backend: IngressBackend
    path: str = ""


class IngressPaths(Struct, frozen=True):
    paths: tuple[IngressPath, ...] | None = None


class IngressRule(Struct, frozen=True):
    """Without a host it is for all."""

    host: str = ""
    http: IngressPaths = IngressPaths()


class IngressSpec(Struct, frozen=True):
    rules: tuple[IngressRule, ...] | None = None


class Ingress(KubernetesObject, frozen=True):
    spec: IngressSpec = IngressSpec()


class ConfigMap(KubernetesObject, frozen=True):
    """Values that are no text are passed over."""

    data: Texts | None = None
