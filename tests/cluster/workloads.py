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
NGINX = "localhost/spectap-nginx:test"
GO = "localhost/spectap-echo:test"
SERVERS = {
    "orders": (PYTHON, ["python3", "-u", "/programs/serve.py"]),
    "front": (NGINX, ["nginx", "-c", "/programs/nginx.conf", "-g", "daemon off;"]),
    "goods": (GO, ["/echo"]),
}
PYTHON_CLIENT = (PYTHON, ["sleep", "infinity"])
CLIENTS = {"cart": PYTHON_CLIENT, "till": (GO, ["/echo"])}
PLAIN, TLS = 80, 443  # of the Service
ODD = {
    "note": "a\u0085b\u2028c",
    "kubernetes.io/config.hash": "0" * 32,
    "meta.helm.sh/release-name": "r" * 2000,
}
"""Annotations of every pod that must change nothing."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: where its containers' processes are in the node's cgroups."""

    name: str
    uid: str
    ip: str
    container: str  # the id of its only container


@dataclass(frozen=True, slots=True)
class Shop:
    """Clients, and servers behind Services of their names, in a namespace of their own."""

    cluster: Cluster
    pods: dict[str, Pod]

    def reaches_its_services(self) -> bool:
        """Whether kube-proxy has written the rules: until then the node refuses connections."""
        try:
            return all(self.call("http", "https", server=name) for name in SERVERS)
        except AssertionError:
            return False

    def call(self, *schemes: str, client: str = "cart", server: str = "orders") -> list[str]:
        """Makes a call through the Service for each, `http` or `https`; returns their ids."""
        ids = [secrets.token_hex(8) for _ in schemes]
        urls = [
            f"{scheme}://{server}:{TLS if scheme == 'https' else PLAIN}/calls/{name}"
            for scheme, name in zip(schemes, ids, strict=True)
        ]
        image, _ = CLIENTS.get(client, PYTHON_CLIENT)
        program = ["/echo"] if image == GO else ["python3", "/programs/call.py"]
        argv = ["exec", "--namespace", NAMESPACE, self.pods[client].name, "--", *program, *urls]
        assert self.cluster.kubectl(*argv).split() == ids
        return ids


@contextmanager
def shop(cluster: Cluster, certificate: Certificate) -> Iterator[Shop]:
    files = {path.name: path.read_text() for path in PROGRAMS.iterdir() if path.is_file()}
    files |= {"certificate.pem": certificate.certificate.read_text(), "key.pem": certificate.key.read_text()}
    objects: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        named("v1", "ConfigMap", "programs", data=files),
        *(deployment(name, *what, port=8443) for name, what in SERVERS.items()),
        *(service(name) for name in SERVERS),
        *(deployment(name, *what, port=None) for name, what in CLIENTS.items()),
    ]
    cluster.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    try:
        names = [*SERVERS, *CLIENTS]
        made = Shop(cluster, {name: started(cluster, name) for name in names})
        wait_until(made.reaches_its_services, "rules of the Services on the node")
        yield made
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@contextmanager
def later(shop: Shop, name: str) -> Iterator[Shop]:
    """The shop with one more client, which starts now."""
    cluster = shop.cluster
    made = json.dumps(deployment(name, *PYTHON_CLIENT, port=None))
    cluster.kubectl("apply", "--filename", "-", stdin=made)
    try:
        yield Shop(cluster, {**shop.pods, name: started(cluster, name)})
    finally:
        cluster.kubectl("delete", "deployment", name, "--namespace", NAMESPACE, "--wait=false")


def started(cluster: Cluster, name: str) -> Pod:
    """The pod of this deployment, once it is ready."""
    what = ("--namespace", NAMESPACE, f"deployment/{name}", "--timeout=180s")
    cluster.kubectl("rollout", "status", *what)
    return pod(cluster, name)


def service(name: str) -> dict[str, object]:
    ports = [
        {"name": "plain", "port": PLAIN, "targetPort": 8000},
        {"name": "tls", "port": TLS, "targetPort": 8443},
    ]
    return named("v1", "Service", name, spec={"selector": {"app.kubernetes.io/name": name}, "ports": ports})


def named(version: str, kind: str, name: str, **content: object) -> dict[str, object]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": name}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def deployment(name: str, image: str, command: list[str], port: int | None) -> dict[str, object]:
    labels = {"app.kubernetes.io/name": name}
    container: dict[str, object] = {
        "name": name,
        "image": image,
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
    template = {"metadata": {"labels": labels, "annotations": ODD}, "spec": pod}
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
