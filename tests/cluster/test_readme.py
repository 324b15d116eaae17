"""daemonset/README.md from top to bottom: its own commands on a cluster, and what it says that they print.

Left out are the first ones, which build images and push them to a registry (tests/daemonset): here the node
has images under the names that the page gives them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import settings
from tests.cluster.cluster import Cluster
from tests.cluster.installed import FITTING, NAMESPACE, Installed, fetch, nothing_left, ready
from tests.cluster.test_choice import seen_again
from tests.cluster.workloads import Shop
from tests.docs.test_commands import agrees
from tests.e2e.processes import REPOSITORY, free_port, listening, running, wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all follows the README, too"),
]

README = (REPOSITORY / "daemonset/README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
(
    BUILD,
    BY_KUSTOMIZE,
    BY_HELM,
    PODS,
    PAGES,
    OVER_THE_API,
    TLS_SECRETS,
    AUTHORITY,
    NEW_TOKEN,
    AGENTS_ONLY,
    TWO_CLUSTERS,
    ROTATION,
    REVOCATION,
    OPTING_OUT,
    DOCTOR,
) = BLOCKS
REGISTRY = "registry.example.com/tools"
HOST = "spectap.example.com"
VOLUME = REPOSITORY / FITTING / "volume.yaml"
SPOOL = Path("/var/lib/spectap-agent")
EXAMPLE = "daemonset/overlays/example"
LISTING = TWO_CLUSTERS.splitlines()[-3].removeprefix("$ ")


def inline(command: str) -> str:
    """A command that the page has within a sentence."""
    assert f"`{command}`" in re.sub(r"\s+", " ", README)
    return command


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an administrator types: a copy of daemonset/ in a folder of its own, and the cluster's tools."""

    cluster: Cluster
    folder: Path

    def do(self, commands: str) -> str:
        """What the commands print; each is echoed. Raises AssertionError if one fails."""
        shell = f"cd {self.folder}; export PATH={Path(sys.executable).parent}:$PATH; {commands}"
        return self.cluster.do(
            "unshare", "--mount", "bash", "-euo", "pipefail", "-c", f"{self.names()}; {shell}"
        )

    def names(self) -> str:
        """The page's host is this machine, for these commands only."""
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{settings.NODE_ADDRESS} {HOST}\n")
        return f"mount --bind {hosts} /etc/hosts"

    def shows(self, block: str, option: str = "") -> None:
        """Runs each command of a block, with a further option, until it prints what is below it."""
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE):
            printed = ""

            def agreed(command: str = command, output: str = output) -> bool:
                nonlocal printed
                printed = self.do(f"{command}{option} 2>&1")
                return agrees(output, printed)

            try:
                wait_until(agreed, command)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{printed}") from None


@pytest.fixture(scope="module")
def registry(cluster: Cluster) -> Cluster:
    """As if the node had pulled the images of this version."""
    for name in ("agent", "server"):
        (tag,) = set(re.findall(rf"{REGISTRY}/spectap-{name}:(\S+)", BUILD))
        ours, theirs = f"localhost/spectap-{name}:test", f"{REGISTRY}/spectap-{name}:{tag}"
        cluster.containers("images", "tag", "--force", ours, theirs)
    return cluster


@pytest.fixture
def desk(registry: Cluster, tmp_path: Path) -> Iterator[Desk]:
    """With a volume for the server, and an empty folder for the agent's spool where the page has it."""
    shutil.copytree(REPOSITORY / "daemonset", tmp_path / "daemonset")
    there = SPOOL.exists()
    SPOOL.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "spool", SPOOL], check=True)
    try:
        with nothing_left(registry):
            registry.kubectl("apply", "--filename", VOLUME)
            try:
                yield Desk(registry, tmp_path)
            finally:
                registry.kubectl("delete", "--filename", VOLUME, "--wait=false", "--ignore-not-found")
        assert any(SPOOL.iterdir())  # the page says that it stays
    finally:
        subprocess.run(["umount", SPOOL], check=True)
        if not there:
            SPOOL.rmdir()


@pytest.fixture(autouse=True)
def removed_in_any_case(desk: Desk) -> Iterator[None]:
    """Also what a test that failed has not removed; the others have."""
    try:
        yield
        assert not desk.cluster.answers("get", "clusterrole", "spectap-agent")
    finally:
        ours = ("--selector=app.kubernetes.io/part-of=spectap", "--ignore-not-found")
        desk.cluster.kubectl("delete", "clusterroles,clusterrolebindings", *ours)
        desk.cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")


@contextmanager
def forwarded(desk: Desk, command: str) -> Iterator[int]:
    """The port of this machine that leads to the server, by the page's command with another port."""
    port = free_port()
    kubectl, *words = command.replace(" 8080", f" {port}:8080").split()
    config = f"KUBECONFIG={desk.cluster.identities.kubeconfig('admin')}"
    argv = ["env", config, str(desk.cluster.layout.programs / kubectl), *words]
    with running("port-forward", argv, desk.folder) as process:
        process.wait_for(lambda: listening(port), "its port")
        yield port


def shows_calls(desk: Desk, spectap: Installed, shop: Shop) -> None:
    """The commands after installing: pods, pages, token, API, doctor."""
    made = shop.call("http", "https")
    spectap.wait_for(made)
    desk.shows(PODS)
    forward, token = PAGES.splitlines()
    assert desk.do(token) == spectap.tokens["admin"]
    with forwarded(desk, forward) as port:
        assert "<html" in page(f"http://127.0.0.1:{port}/")
        shown = desk.do(
            OVER_THE_API.replace(":8080/api/v1/exchanges", f":{port}/api/v1/exchanges?path_prefix=/calls/")
        )
        paths = {one["path"]["text"].rpartition("/")[2] for one in json.loads(shown)["items"]}
        assert set(made) <= paths
    assert "compiled the capture programs in" in desk.do(
        inline("kubectl -n spectap logs daemonset/spectap-agent")
    )
    said = desk.do(f"{DOCTOR.strip()} || [ $? -le 2 ]")
    assert "in a container, with all processes visible" in said


def page(url: str) -> str:
    argv = ["curl", "--silent", "--fail", "--location", "--noproxy", "*", url]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def opts_out(desk: Desk, spectap: Installed, shop: Shop) -> None:
    out, back = OPTING_OUT.splitlines()
    known = spectap.not_captured()
    desk.do(out)
    wait_until(lambda: shop.call("https") and spectap.not_captured() > known, "the annotation's effect")
    hidden = shop.call("http", "https")
    desk.do(back)
    seen_again(spectap, shop)
    assert not any(spectap.exchanges(hidden).values())


def with_components(overlay: Path, *names: str) -> None:
    """Adds components to a copy of an overlay, as the page says."""
    listed = ", ".join(f"../../components/{name}" for name in names)
    overlay.write_text(f"{overlay.read_text()}components: [{listed}]\n")


def test_with_kustomize_it_is_installed_looked_at_upgraded_and_deleted_with_its_namespace(
    desk: Desk, shop: Shop
) -> None:
    desk.do(BY_KUSTOMIZE)
    spectap = ready(desk.cluster)
    shows_calls(desk, spectap, shop)
    opts_out(desk, spectap, shop)
    desk.do(TLS_SECRETS)
    with_components(desk.folder / EXAMPLE / "kustomization.yaml", "tls", "mtls")
    desk.do(f"kubectl apply -k {EXAMPLE}")
    spectap.rolled_out()
    spectap.wait_for(shop.call("http", "https"))
    assert spectap.url().startswith("https://")
    desk.do(AUTHORITY)
    assert "BEGIN CERTIFICATE" in (desk.folder / "ca.crt").read_text()
    desk.do(f"kubectl delete -k {EXAMPLE}")
    assert not desk.cluster.answers("get", "namespace", NAMESPACE)


def test_with_helm_it_is_installed_tested_upgraded_and_uninstalled_but_for_its_volume(
    desk: Desk, shop: Shop
) -> None:
    desk.do(BY_HELM)
    shows_calls(desk, ready(desk.cluster), shop)
    assert "Phase:          Succeeded" in desk.do(inline("helm test spectap -n spectap"))
    (install,) = (line for line in BY_HELM.splitlines() if line.startswith("helm install"))
    desk.do(install.replace("install", "upgrade"))
    ready(desk.cluster)
    desk.do(f"{inline('helm uninstall spectap -n spectap')} --wait")
    assert desk.cluster.answers("get", "pvc", "data-spectap-server-0", "--namespace", NAMESPACE)
    desk.do(inline("kubectl -n spectap delete pvc data-spectap-server-0"))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A server in no cluster, by the name that the page gives it, which takes agents of all clusters."""

    desk: Desk
    token: str

    def get(self, path: str, **filters: str) -> Any:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return fetch(f"https://{settings.NODE_ADDRESS}{path}?{query}", self.token)

    def stored(self, cluster: str) -> set[str]:
        """The ids of calls of this cluster."""
        listed = self.get("/api/v1/exchanges", cluster=cluster, limit="200", path_prefix="/calls/")["items"]
        return {one["path"]["text"].rpartition("/")[2] for one in listed}

    def wait_for(self, made: list[str], cluster: str) -> None:
        wait_until(lambda: set(made) <= self.stored(cluster), f"calls of {cluster}")


@pytest.fixture
def elsewhere(desk: Desk) -> Iterator[Elsewhere]:
    folder = desk.folder
    made = desk.do(f"daemonset/secrets; {inline(f'daemonset/secrets --tls --host {HOST}')}")
    secrets = {one["metadata"]["name"]: one["data"] for one in yaml.safe_load_all(made)}
    for name, text in (secrets["spectap-server-tls"] | secrets["spectap-tokens"]).items():
        (folder / name).write_bytes(base64.b64decode(text))
        (folder / name).chmod(0o600)
    argv = [str(Path(sys.executable).parent / "spectap"), "server", f"--listen={settings.NODE_ADDRESS}:443"]
    argv += [f"--data={folder}/data", f"--tls-cert={folder}/tls.crt", f"--tls-key={folder}/tls.key"]
    argv += [f"--admin-token-file={folder}/admin", f"--ingest-token-file={folder}/ingest"]
    with running("elsewhere", argv, folder) as server:
        server.wait_for(lambda: "listening" in server.output() or listening(443), "its port")
        yield Elsewhere(desk, (folder / "admin").read_text())


def of(cluster: str, commands: str) -> str:
    return commands.replace("west", cluster).replace(
        "--token-file admin", "--token-file admin --ca-file ca.crt"
    )


def installed_as(cluster: str, desk: Desk) -> None:
    """Agents without a server, by a copy of the overlay with this cluster's name."""
    overlay = desk.folder / "daemonset/overlays/agents-only/kustomization.yaml"
    text = (REPOSITORY / "daemonset/overlays/agents-only/kustomization.yaml").read_text()
    own = yaml.safe_load(text.replace("# components:", "components:").replace("west", cluster))
    named = [{"ip": settings.NODE_ADDRESS, "hostnames": [HOST]}]
    patch = [{"op": "add", "path": "/spec/template/spec/hostAliases", "value": named}]
    own["patches"].append({"target": {"kind": "DaemonSet"}, "patch": json.dumps(patch)})
    overlay.write_text(json.dumps(own))
    desk.do(of(cluster, NEW_TOKEN))
    desk.do(of(cluster, AGENTS_ONLY))
    agents_ready(desk)


def agents_ready(desk: Desk) -> None:
    what = ("daemonset/spectap-agent", "--timeout=180s")
    desk.cluster.kubectl("rollout", "status", "--namespace", NAMESPACE, *what)


def test_agents_of_two_clusters_ship_to_one_server_each_with_a_token_that_is_rotated_and_revoked(
    desk: Desk, elsewhere: Elsewhere, shop: Shop
) -> None:
    made = {}
    for cluster in ("east", "west"):  # this one cluster is both, one after the other
        installed_as(cluster, desk)
        made[cluster] = shop.call("http", "https")
        elsewhere.wait_for(made[cluster], cluster)
        if cluster == "east":
            desk.do("kubectl delete -k daemonset/overlays/agents-only")
    assert not set(made["east"]) & elsewhere.stored("west")
    assert not set(made["west"]) & elsewhere.stored("east")
    desk.shows(TWO_CLUSTERS, " --ca-file ca.crt")
    (agent,) = elsewhere.get("/api/v1/agents", cluster="west")["items"]
    assert agent["cluster"] == "west"
    assert elsewhere.get("/api/v1/ledger", cluster="west")["agents"]["exchanges"]["shipped"] >= 2
    desk.do(of("west", ROTATION))
    agents_ready(desk)
    later = shop.call("http", "https")
    elsewhere.wait_for(later, "west")
    desk.do(of("west", REVOCATION))
    waiting = shop.call("http", "https")
    wait_until(lambda: "403" in agent_log(desk), "the agent's sentence")
    assert not set(waiting) & elsewhere.stored("west")
    assert "agents of west" not in desk.do(of("west", LISTING))
    desk.do("kubectl delete -k daemonset/overlays/agents-only")


def agent_log(desk: Desk) -> str:
    return desk.cluster.kubectl("logs", "--namespace", NAMESPACE, "daemonset/spectap-agent")
