"""spectap on a cluster: installed as daemonset/README.md says, and asked over its API."""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from tests.cluster.cluster import RUN, Cluster, built
from tests.cluster.manifests import write_kustomization
from tests.cluster.workloads import pod
from tests.e2e import bpf_programs
from tests.e2e.processes import PATIENCE, REPOSITORY, wait_until

NAMESPACE = "spectap"
AGENT = "spectap-agent"
FITTING = "tests/cluster/component"
SERVER_USER = 10001
IMAGES = ("agent", "server", "nginx")
_opener = build_opener(ProxyHandler({}), HTTPSHandler(context=ssl._create_unverified_context()))


@dataclass(frozen=True, slots=True)
class Installed:
    """spectap, ready, on a cluster."""

    cluster: Cluster
    tokens: dict[str, str]

    def url(self) -> str:
        spec = self.cluster.get("service", "spectap-server", "--namespace", NAMESPACE)["spec"]
        (port,) = spec["ports"]
        return f"{port['appProtocol']}://{spec['clusterIP']}:{port['port']}"

    def get(self, path: str, **filters: object) -> Any:
        query = f"?{urlencode(filters)}" if filters else ""
        return fetch(f"{self.url()}{path}{query}", self.tokens["admin"])

    def agent_status(self) -> Any:
        """The agent's own status, asked as Prometheus asks for its metrics."""
        return fetch(f"http://{pod(self.cluster, AGENT, NAMESPACE).ip}:9464/status", self.tokens["status"])

    def not_captured(self) -> int:
        """Bytes and exchanges that the agent was not to capture."""
        ledger = self.agent_status()["ledger"]
        return int(ledger["bytes"].get("filtered", 0)) + int(ledger["exchanges"].get("opted_out", 0))

    def exchanges(self, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The stored exchanges of these calls, by id."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in ids}
        for item in self.get("/api/v1/exchanges", limit=200, path_prefix="/calls/")["items"]:
            name = item["path"]["text"].rsplit("/", 1)[-1]
            if name in found:
                found[name].append(item)
        return found

    def since(self, start: str) -> list[dict[str, Any]]:
        """All exchanges since a time whose requests were seen, page by page."""
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = self.get("/api/v1/exchanges", limit=200, since=start, **more)
            found += (one for one in page["items"] if one["path"])  # of the others only the answer was seen
            if page["next"] is None:
                return found
            more = {"cursor": page["next"]}

    def upload(self, document: bytes, **filters: object) -> None:
        """Uploads a specification."""
        fetch(f"{self.url()}/api/v1/specs?{urlencode(filters)}", self.tokens["admin"], document)

    def wait_for(self, ids: Sequence[str], views: int = 2) -> dict[str, dict[str, Any]]:
        """The exchange of each of these calls, once all are stored with this many views."""

        def complete() -> dict[str, dict[str, Any]] | None:
            found = self.exchanges(ids)
            if any(sum(len(item["witnesses"]) for item in items) < views for items in found.values()):
                return None
            twice = {name: items for name, items in found.items() if len(items) > 1}
            assert not twice, f"stored more than once: {twice}"
            return {name: items[0] for name, items in found.items()}

        try:
            return wait_until(complete, f"{len(ids)} exchanges with {views} views")
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(self.exchanges(ids))}\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(
            self.cluster.kubectl("logs", "--namespace", NAMESPACE, what, "--tail=60")
            for what in ("daemonset/spectap-agent", "statefulset/spectap-server")
        )

    def rolled_out(self) -> None:
        for what in ("statefulset/spectap-server", "daemonset/spectap-agent"):
            try:
                self.cluster.kubectl("rollout", "status", "--namespace", NAMESPACE, what, "--timeout=180s")
            except AssertionError as error:
                pods = self.cluster.kubectl("describe", "pods", "--namespace", NAMESPACE)
                raise AssertionError(f"{error}\n{pods}\n{self.logs()}") from None


def fetch(url: str, token: str, content: bytes | None = None) -> Any:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = Request(url, content, headers)
    with _opener.open(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def images() -> Path:
    """The folder with the images' archives; built if they are not there."""
    return built("build-images")


@contextmanager
def by_kustomize(cluster: Cluster, resource: str = "daemonset/base") -> Iterator[Installed]:
    """The base, or an overlay, as daemonset/README.md says; deleted at the end."""
    with nothing_left(cluster), TemporaryDirectory() as folder:
        write_kustomization(Path(folder), resource, [FITTING])
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("create", "--filename", "-", stdin=cluster.do(REPOSITORY / "daemonset/secrets"))
        cluster.kubectl("apply", "--kustomize", folder)
        try:
            yield ready(cluster)
        finally:
            cluster.kubectl("delete", "--kustomize", folder, "--timeout=120s")


@contextmanager
def nothing_left(cluster: Cluster) -> Iterator[None]:
    """Makes room for the server's volume. Asserts afterwards that nothing is left in the kernel, nor in the
    cluster.
    """
    before, volume = bpf_programs.loaded(), RUN / "server"
    volume.mkdir(mode=0o700)
    os.chown(volume, SERVER_USER, SERVER_USER)
    try:
        yield
    finally:
        shutil.rmtree(volume)
        shutil.rmtree(RUN / "agent", ignore_errors=True)
    wait_until(lambda: not bpf_programs.loaded() - before, "the agent's eBPF programs to be gone")
    kinds = "clusterroles,clusterrolebindings,persistentvolumes"
    left = cluster.get(kinds, "--selector=app.kubernetes.io/part-of=spectap")["items"]
    assert [one["metadata"]["name"] for one in left if "deletionTimestamp" not in one["metadata"]] == []


def ready(cluster: Cluster) -> Installed:
    """What is installed, once it captures."""
    tokens = cluster.get("secret", "spectap-tokens", "--namespace", NAMESPACE)["data"]
    made = Installed(cluster, {name: base64.b64decode(text).decode() for name, text in tokens.items()})
    made.rolled_out()
    assert bpf_programs.loaded(), "the agent says it is ready and has no eBPF program loaded"
    return made
