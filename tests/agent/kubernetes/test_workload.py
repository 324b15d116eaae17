"""The object that a person created, from the pod alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.kube.objects import Meta, Owner
from agent.kubernetes.workload import workload_of

CREATED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DUE = int(CREATED.timestamp()) // 60
HASH = {"pod-template-hash": "7d4b9c6f5"}


def meta(kind: str, name: str, labels: dict[str, str] | None = None, pod: str = "pod") -> Meta:
    owner = Owner(kind, name, controller=True)
    return Meta(name=pod, labels=labels, owner_references=(owner,), creation_timestamp=CREATED)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (meta("ReplicaSet", "cart-7d4b9c6f5", HASH), ("Deployment", "cart")),
        (meta("ReplicaSet", "a-b-7d4b9c6f5", HASH), ("Deployment", "a-b")),
        (meta("ReplicaSet", "r-5d", {"rollouts-pod-template-hash": "5d"}), ("Rollout", "r")),
        (meta("ReplicaSet", "made-by-hand"), ("ReplicaSet", "made-by-hand")),
        (meta("ReplicaSet", "other", HASH), ("ReplicaSet", "other")),
        (meta("ReplicaSet", "-7d4b9c6f5", HASH), ("ReplicaSet", "-7d4b9c6f5")),
        (meta("StatefulSet", "db"), ("StatefulSet", "db")),
        (meta("DaemonSet", "log"), ("DaemonSet", "log")),
        (meta("Job", f"nightly-{DUE}"), ("CronJob", "nightly")),
        (meta("Job", f"nightly-{DUE - 60}"), ("CronJob", "nightly")),  # it was due an hour ago
        (meta("Job", "import-12345678"), ("Job", "import-12345678")),  # due in 1993
        (meta("Job", f"import-{DUE + 1000}"), ("Job", f"import-{DUE + 1000}")),
        (meta("Job", "migrate"), ("Job", "migrate")),
        (meta("Node", "node-1", pod="etcd-node-1"), ("StaticPod", "etcd")),
        (meta("Workflow", "argo"), ("Workflow", "argo")),
    ],
)
def test_the_owner_or_whoever_made_it(pod: Meta, expected: tuple[str, str]) -> None:
    assert workload_of(pod, "node-1") == expected


def test_a_pod_by_itself_has_none_and_an_owner_that_does_not_control_it_is_none() -> None:
    assert workload_of(Meta(name="pod"), "node-1") is None
    assert workload_of(Meta(name="pod", owner_references=(Owner("ConfigMap", "x"),)), None) is None


def test_without_a_time_of_creation_nothing_shows_a_cron_job() -> None:
    owner = (Owner("Job", f"nightly-{DUE}", controller=True),)
    assert workload_of(Meta(name="pod", owner_references=owner), None) == ("Job", f"nightly-{DUE}")
    late = Meta(owner_references=owner, creation_timestamp=CREATED + timedelta(days=8))
    assert workload_of(late, None) == ("Job", f"nightly-{DUE}")
