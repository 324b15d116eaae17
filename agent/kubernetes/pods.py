"""What is kept of a pod: names, addresses and a closed list of labels. Annotations and other labels may hold
secrets and stay in the API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.events import PodContainer, PodSeen
from agent.kube.objects import ContainerStatus, Meta, Pod
from agent.kubernetes.workload import NODE, workload_of
from agent.wire import Resident

LABELS = (
    *(f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of")),
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
)
"""The labels that leave the node: those that Kubernetes recommends, and Helm's chart."""
ANNOTATIONS = ("meta.helm.sh/release-name",)
"""The annotations that leave it, as labels: if they could be one."""
MAX_LABEL = 63  # characters; an annotation may have 256 KiB
STATIC, MIRROR = "kubernetes.io/config.hash", "kubernetes.io/config.mirror"
"""The annotations with the UID that kubelet gave a static pod: its cgroup has this one, not the API's."""
STATIC_UID = re.compile(r"[0-9a-f]{32}")
"""A digest, where other pods' UIDs have hyphens: an annotation that anyone may write names no other's pod."""
ENDED = frozenset({"Succeeded", "Failed"})
DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")


def cgroup_uid(pod: Meta) -> str:
    """The UID in the path of the pod's cgroup.

    What says that it is static must be complete: kubelet runs no such pod of the API, and deletes it unless
    it mirrors a static one.
    """
    uid = pod.annotation(STATIC) or ""
    is_static = any(owner.controller and owner.kind == NODE for owner in pod.owner_references or ())
    is_mirrored = is_static and pod.annotation(MIRROR) == uid
    return uid if is_mirrored and STATIC_UID.fullmatch(uid) else pod.uid


def pod_seen(pod: Pod, captured: bool, aggregation_header: str | None = None) -> PodSeen:
    """What is kept of a pod; its time is 0."""
    meta, status = pod.metadata, pod.status
    workload = workload_of(meta, pod.spec.node_name)
    has_own_ips = not pod.spec.host_network and status.phase not in ENDED
    statuses = (
        status.init_container_statuses,
        status.container_statuses,
        status.ephemeral_container_statuses,
    )
    return PodSeen(
        time_ns=0,
        uid=cgroup_uid(meta),
        name=meta.name,
        namespace=meta.namespace or "",
        node=pod.spec.node_name,
        workload=None if workload is None else workload[1],
        workload_kind=None if workload is None else workload[0],
        labels=tuple(_labels(meta)),
        ips=tuple(one.ip for one in status.pod_ips or ()) if has_own_ips else (),
        containers=tuple(_container(one) for some in statuses for one in some or ()),
        captured=captured,
        aggregation_header=aggregation_header,
    )


def resident_of(pod: Pod, seen: PodSeen) -> Resident:
    """What the server is told of a pod."""
    created = pod.metadata.creation_timestamp
    return Resident(
        ips=seen.ips,
        pod=seen.name,
        namespace=seen.namespace,
        workload=seen.workload,
        workload_kind=seen.workload_kind,
        labels=dict(seen.labels),
        since=0 if created is None else int(created.timestamp()) * 1_000_000_000,
    )


def _labels(meta: Meta) -> Iterator[tuple[str, str]]:
    for key in LABELS:
        if value := meta.label(key):
            yield key, value
    for key in ANNOTATIONS:
        value = meta.annotation(key)
        if value and len(value) <= MAX_LABEL:
            yield key, value


def _container(status: ContainerStatus) -> PodContainer:
    digest = DIGEST.search(status.image_id)
    return PodContainer(
        id=None if status.container_id is None else status.container_id.rpartition("://")[2] or None,
        name=status.name,
        image=status.image or None,
        digest=None if digest is None else digest[0],
    )
