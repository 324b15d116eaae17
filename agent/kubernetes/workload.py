"""The object that a person created and a pod belongs to, from the pod alone: no right to read others is
needed.

| owner       | workload                  | shown by                                                         |
|-------------|---------------------------|------------------------------------------------------------------|
| ReplicaSet  | its Deployment            | its name ends in the pod's label pod-template-hash               |
| ReplicaSet  | its Rollout (Argo)        | the same with rollouts-pod-template-hash                         |
| Job         | its CronJob               | its name ends in the minute it was due, near the pod's creation  |
| Node        | the static pod's manifest | the pod's name without the node's, which kubelet appends         |
| any other   | the owner                 |                                                                  |

A Deployment's controller names its ReplicaSets so (pod-template-hash), and CronJob's its Jobs (minutes
since the epoch). A ReplicaSet or Job of which this does not hold was created by a person, or by a
controller that is not known here.
"""

from __future__ import annotations

import re
from datetime import datetime

from agent.kube.objects import Meta, Owner

HASHES = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
DUE = re.compile(r"(.+)-(\d{8,9})")
"""A CronJob's name and the minute its Job was due; eight digits until the year 2160."""
NODE = "Node"
"""The owner of the pod by which the API shows a static one."""
LATE_S = 7 * 86_400
"""A Job may begin late, and start pods for as long as it retries."""
EARLY_S = 3_600

MAX_KIND, MAX_NAME = 63, 253
"""Characters: the API does not check whether an owner exists, nor how long its names are."""

Workload = tuple[str, str]
"""Kind and name."""


def workload_of(pod: Meta, node: str | None) -> Workload | None:
    """None if the pod was created by itself, or its owner has no name that an object can have."""
    owner = next((one for one in pod.owner_references or () if one.controller), None)
    if owner is None or len(owner.kind) > MAX_KIND or len(owner.name) > MAX_NAME:
        return None
    if owner.kind == "ReplicaSet":
        return _of_replica_set(owner, pod)
    if owner.kind == "Job":
        return _of_job(owner, pod.creation_timestamp)
    if owner.kind == NODE:
        return "StaticPod", pod.name.removesuffix(f"-{node}") if node else pod.name
    return owner.kind, owner.name


def _of_replica_set(owner: Owner, pod: Meta) -> Workload:
    for label, kind in HASHES.items():
        suffix = pod.label(label)
        if suffix and owner.name.endswith(f"-{suffix}") and len(owner.name) > len(suffix) + 1:
            return kind, owner.name.removesuffix(f"-{suffix}")
    return owner.kind, owner.name


def _of_job(owner: Owner, created: datetime | None) -> Workload:
    named = DUE.fullmatch(owner.name)
    if named is not None and created is not None:
        late_s = created.timestamp() - int(named[2]) * 60
        if -EARLY_S <= late_s <= LATE_S:
            return "CronJob", named[1]
    return owner.kind, owner.name
