"""Pods under test: a server behind a Service, and a client that makes calls when it is told to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.e2e.certificates import Certificate
from tests.e2e.processes import wait_until

PROGRAMS = Path(__file__).parent / "programs"
NAMESPACE = "shop"
PYTHON = "localhost/spectap-server:test"  # any image with Python
PLAIN, TLS = 80, 443  # of the Service


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: where its containers' processes are in the node's cgroups."""

    name: str
    uid: str
    ip: str
    container: str  # the id of its only container


@dataclass(frozen=True, slots=True)
class Shop:
    """A client and a server, in a namespace of their own."""

    cluster: Cluster
    client: Pod
    server: Pod
    service: str

    def reaches_the_service(self) -> bool:
        """Whether kube-proxy has written the rules: until then the node refuses connections."""
        try:
            return bool(self.call("http", "https"))
        except AssertionError:
            return False

    def call(self, *schemes: str) -> list[str]:
        """Makes a call through the Service for each, `http` or `https`; returns their ids."""
        ids = [secrets.token_hex(8) for _ in schemes]
        calls = [
            f"{scheme}:{TLS if scheme == 'https' else PLAIN}:{name}"
            for scheme, name in zip(schemes, ids, strict=True)
        ]
        argv = ["exec", "--namespace", NAMESPACE, self.client.name, "--", "python3", "/programs/call.py"]
        answered = self.cluster.kubectl(*argv, self.service, *calls).split()
        assert answered == ids
        return ids


@contextmanager
def shop(cluster: Cluster, certificate: Certificate) -> Iterator[Shop]:
    files = {path.name: path.read_text() for path in PROGRAMS.glob("*.py")}
    files |= {"certificate.pem": certificate.certificate.read_text(), "key.pem": certificate.key.read_text()}
    labels = {"app.kubernetes.io/name": "orders"}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        named("v1", "ConfigMap", "programs", data=files),
        named(
            "v1",
            "Service",
            "orders",
            spec={
                "selector": labels,
                "ports": [
                    {"name": "plain", "port": PLAIN, "targetPort": 8000},
                    {"name": "tls", "port": TLS, "targetPort": 8443},
                ],
            },
        ),
        deployment("orders", ["python3", "-u", "/programs/serve.py"], 8443),
        deployment("cart", ["sleep", "infinity"], None),
    ]
    cluster.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    try:
        for name in ("orders", "cart"):
            cluster.kubectl(
                "rollout", "status", "--namespace", NAMESPACE, f"deployment/{name}", "--timeout=180s"
            )
        service = cluster.get("service", "orders", "--namespace", NAMESPACE)
        made = Shop(cluster, pod(cluster, "cart"), pod(cluster, "orders"), service["spec"]["clusterIP"])
        wait_until(made.reaches_the_service, "rules of the Service on the node")
        yield made
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def named(version: str, kind: str, name: str, **content: object) -> dict[str, object]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": name}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def deployment(name: str, command: list[str], port: int | None) -> dict[str, object]:
    labels = {"app.kubernetes.io/name": name}
    container: dict[str, object] = {
        "name": name,
        "image": PYTHON,
        "imagePullPolicy": "Never",
        "command": command,
        "volumeMounts": [{"name": "programs", "mountPath": "/programs"}],
    }
    if port is not None:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "programs", "configMap": {"name": "programs"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return named(
        "apps/v1", "Deployment", name, spec={"selector": {"matchLabels": labels}, "template": template}
    )


def pod(cluster: Cluster, name: str, namespace: str = NAMESPACE) -> Pod:
    """The only pod of this application."""
    found = cluster.get("pods", "--namespace", namespace, f"--selector=app.kubernetes.io/name={name}")[
        "items"
    ]
    (one,) = (item for item in found if "deletionTimestamp" not in item["metadata"])
    (status,) = one["status"]["containerStatuses"]
    return Pod(
        one["metadata"]["name"],
        one["metadata"]["uid"],
        one["status"]["podIP"],
        status["containerID"].removeprefix("containerd://"),
    )
