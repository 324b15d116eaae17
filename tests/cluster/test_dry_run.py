"""What kustomize and Helm render is admitted by a real API server, which knows every field of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import definitions
from tests.cluster.cluster import Cluster
from tests.cluster.manifests import Objects, helmed, kustomized, rendered
from tests.cluster.test_components import ALL, CHOICES
from tests.e2e.processes import REPOSITORY

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all asks the API server, too"),
]

OVERLAYS = sorted(path.name for path in (REPOSITORY / "daemonset/overlays").iterdir())
STRICT = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename", "-")
PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}


@pytest.fixture(scope="module")
def prepared(cluster: Cluster) -> Iterator[Cluster]:
    """With the namespace, and the custom resources' definitions."""
    files = [word for path in definitions.definitions().values() for word in ("--filename", path)]
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "spectap", "labels": PRIVILEGED},
    }
    cluster.kubectl("create", *files)
    cluster.kubectl("wait", "--for=condition=Established", *files)
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(namespace))
    yield cluster
    cluster.kubectl("delete", "namespace", "spectap", "--timeout=120s")
    cluster.kubectl("delete", *files)


def admitted(cluster: Cluster, objects: Objects) -> set[str]:
    """Those that the API server would store, and has no warning of."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects.values())}
    said = cluster.kubectl("apply", "--namespace", "spectap", *STRICT, stdin=json.dumps(listed))
    return {line.split()[0] for line in said.splitlines()}


@pytest.mark.parametrize("source", ["secrets", "components", "chart", *OVERLAYS])
def test_the_api_server_admits_what_is_rendered(prepared: Cluster, tmp_path: Path, source: str) -> None:
    tools = prepared.layout.programs
    if source == "secrets":
        objects = rendered([REPOSITORY / "daemonset/secrets"])
        objects |= rendered([REPOSITORY / "daemonset/secrets", "--tls"])
    elif source == "components":
        objects = kustomized(tools, tmp_path, ALL.split())
    elif source == "chart":
        objects = helmed(tools, *(word for value in CHOICES[ALL] for word in ("--set", value)))
    else:
        objects = rendered([tools / "kubectl", "kustomize", f"daemonset/overlays/{source}"])
    assert len(admitted(prepared, objects)) == len(objects) >= 4


def test_the_api_server_refuses_what_it_does_not_know(prepared: Cluster) -> None:
    objects = kustomized(prepared.layout.programs)
    objects["DaemonSet/spectap-agent"]["spec"]["template"]["spec"]["hostPIDs"] = True
    with pytest.raises(AssertionError, match="hostPIDs"):
        admitted(prepared, objects)


def test_the_server_is_admitted_as_restricted_and_the_agent_as_privileged_only(cluster: Cluster) -> None:
    objects, name = kustomized(cluster.layout.programs), "restricted"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, f"pod-security.kubernetes.io/enforce={name}")
    try:
        for account in ("spectap-server", "spectap-agent"):
            cluster.kubectl("create", "serviceaccount", account, "--namespace", name)
        assert "created" in tried(cluster, objects["StatefulSet/spectap-server"], name)
        with pytest.raises(AssertionError, match="violates PodSecurity"):
            tried(cluster, objects["DaemonSet/spectap-agent"], name)
    finally:
        cluster.kubectl("delete", "namespace", name, "--timeout=120s")


def tried(cluster: Cluster, workload: dict[str, Any], namespace: str) -> str:
    """What the API server says of one of its pods, which it does not make."""
    spec = workload["spec"]["template"]["spec"]
    claimed = [
        {"name": one["metadata"]["name"], "emptyDir": {}}
        for one in workload["spec"].get("volumeClaimTemplates", ())
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {**spec, "volumes": [*spec["volumes"], *claimed]},
    }
    return cluster.kubectl(
        "create", "--namespace", namespace, "--dry-run=server", "--filename", "-", stdin=json.dumps(pod)
    )
