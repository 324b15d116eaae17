"""A real cluster of one node on this machine, for the time of a test run.

etcd, API server, controllers, scheduler, kubelet, kube-proxy (tests/cluster/build-kubernetes) and the
distribution's containerd and runc. There is no registry, and no name but those of Services. It leaves nothing
behind.

By hand, as root: `python -m tests.cluster.cluster [-- COMMAND…]` starts one, runs the command (a shell if
there is none) with KUBECONFIG set and kubectl and helm in its path, and stops it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import dns, host, identities, images, settings
from tests.cluster.identities import Identities
from tests.cluster.settings import Layout
from tests.e2e.processes import Running, free_port, wait_until
from tests.strays import running_descendants

HERE = Path(__file__).parent
RUN = Path("/run/spectap-cluster")
INTERFACE = "spectap"
NEEDED = ("containerd", "ctr", "runc", "ip", "iptables", "iptables-save")
PATIENCE = 240.0  # seconds for a part to start on a busy machine
STOPPING = 20.0
NAMESPACE = "k8s.io"  # of containerd, for kubelet's containers


def missing_tools() -> list[str]:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    return missing if Path(settings.PLUGINS, "ptp").exists() else [*missing, f"{settings.PLUGINS}/ptp"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; commands are its administrator's."""

    layout: Layout
    identities: Identities
    node: str
    url: str
    parts: dict[str, Running]

    def environment(self) -> dict[str, str]:
        path = f"{self.layout.programs}:{os.environ['PATH']}"
        return dict(os.environ) | {
            "PATH": path,
            "KUBECONFIG": str(self.identities.kubeconfig("admin")),
            "HELM_CACHE_HOME": str(self.layout.folder / "helm"),
            "HELM_CONFIG_HOME": str(self.layout.folder / "helm"),
            "HELM_DATA_HOME": str(self.layout.folder / "helm"),
        }

    def do(self, *argv: object, stdin: str | None = None, patience: float = PATIENCE) -> str:
        """The output of a command, such as kubectl. Raises AssertionError with what it said if it fails."""
        done = subprocess.run(
            [str(word) for word in argv],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=patience,
            check=False,
        )
        assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr}\n{done.stdout}"
        return done.stdout

    def kubectl(self, *argv: object, stdin: str | None = None) -> str:
        return self.do("kubectl", *argv, stdin=stdin)

    def get(self, *argv: object) -> Any:
        """Objects as JSON."""
        return json.loads(self.kubectl("get", *argv, "--output", "json"))

    def answers(self, *argv: object) -> bool:
        try:
            self.kubectl(*argv)
        except AssertionError:
            return False
        return True

    def is_ready(self) -> bool:
        """Whether the API server answers."""
        return self.answers("get", "--raw", "/readyz")

    def stop(self, *parts: str) -> None:
        """Stops these parts, whose connections end."""
        for name in parts:
            self.parts[name].stop(STOPPING)

    def kill(self, part: str) -> None:
        """Kills this part, which can put nothing in order."""
        process = self.parts[part].process
        process.kill()
        process.wait()

    def start_again(self, *parts: str) -> None:
        """Starts parts that were stopped."""
        for name in parts:
            self.parts[name] = Running(name, self.parts[name].argv, self.layout.folder)

    def service(self, name: str, namespace: str) -> str | None:
        """The address of a Service."""
        try:
            spec = self.get("service", name, "--namespace", namespace)["spec"]
        except AssertionError:
            return None
        return str(spec["clusterIP"])

    def load(self, archive: Path) -> None:
        """Gives the node an image, in place of a registry."""
        self.containers("images", "import", archive)

    def containers(self, *argv: object) -> str:
        """What containerd says, which needs no API server."""
        return self.do("ctr", "--address", self.layout.containerd, "--namespace", NAMESPACE, *argv)


def programs() -> Path:
    """The folder with the parts of Kubernetes; built if they are not there."""
    return built("build-kubernetes")


def built(builder: str) -> Path:
    """The folder that a builder of this folder fills, once it is filled."""
    subprocess.run([HERE / builder], check=True)
    asked = subprocess.run([HERE / builder, "folder"], check=True, capture_output=True, text=True)
    return Path(asked.stdout.strip())


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster with a ready node."""
    node = os.uname().nodename.lower()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="spectap-cluster-", dir="/var/tmp"))
        stack.callback(shutil.rmtree, folder)
        RUN.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, RUN)
        layout = Layout(folder, RUN, programs())
        stack.enter_context(host.unchanged(RUN))
        stack.enter_context(host.unchanged(folder))
        stack.enter_context(host.address(INTERFACE, settings.NODE_ADDRESS))
        port = free_port()
        url = f"https://{settings.NODE_ADDRESS}:{port}"
        names = (
            "localhost",
            "kubernetes.default.svc",
            settings.API_SERVICE,
            settings.NODE_ADDRESS,
            "127.0.0.1",
        )
        who = identities.make(folder / "identities", node, names, url)
        cluster = Cluster(layout, who, node, url, {})
        control_plane(cluster, port, stack)
        stack.enter_context(dns.serving(settings.NODE_ADDRESS, cluster.service))
        node_parts(cluster, stack)
        yield cluster


def start(cluster: Cluster, stack: ExitStack, name: str, *argv: object) -> Running:
    """Starts one of the programs; it is stopped with the stack."""
    own = cluster.layout.programs / name
    words = [str(own) if own.exists() else name, *map(str, argv)]
    process = Running(name, words, cluster.layout.folder)
    cluster.parts[name] = process
    stack.callback(cluster.stop, name)
    return process


def control_plane(cluster: Cluster, port: int, stack: ExitStack) -> None:
    who, folder = cluster.identities, cluster.layout.folder
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    etcd = ["--name=test", f"--data-dir={folder}/etcd", "--unsafe-no-fsync", "--log-level=warn"]
    etcd += [f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"]
    etcd += [f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"]
    start(cluster, stack, "etcd", *etcd, f"--initial-cluster=test={peers}")
    (folder / "audit.json").write_text(settings.audit())
    server = start(
        cluster,
        stack,
        "kube-apiserver",
        f"--audit-policy-file={folder}/audit.json",
        f"--audit-log-path={cluster.layout.audit_log}",
        "--runtime-config=api/beta=true",
        f"--etcd-servers={clients}",
        f"--bind-address={settings.NODE_ADDRESS}",
        f"--advertise-address={settings.NODE_ADDRESS}",
        f"--secure-port={port}",
        f"--tls-cert-file={who.certificate('apiserver')}",
        f"--tls-private-key-file={who.key('apiserver')}",
        f"--client-ca-file={who.certificate('ca')}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={settings.SERVICES}",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={who.key('accounts')}",
        f"--service-account-signing-key-file={who.key('accounts')}",
        f"--kubelet-client-certificate={who.certificate('kubelet-client')}",
        f"--kubelet-client-key={who.key('kubelet-client')}",
    )
    server.wait_for(cluster.is_ready, "the API server")
    loopback = ["--leader-elect=false", "--bind-address=127.0.0.1"]
    start(
        cluster,
        stack,
        "kube-controller-manager",
        *loopback,
        f"--kubeconfig={who.kubeconfig('controllers')}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={who.key('accounts')}",
        f"--root-ca-file={who.certificate('ca')}",
    )
    start(cluster, stack, "kube-scheduler", *loopback, f"--kubeconfig={who.kubeconfig('scheduler')}")


def node_parts(cluster: Cluster, stack: ExitStack) -> None:
    layout, who, folder = cluster.layout, cluster.identities, cluster.layout.folder
    (folder / "cni").mkdir()
    (folder / "cni/10-test.conflist").write_text(settings.network(layout))
    for name, text in (
        ("containerd.toml", settings.containerd(layout)),
        ("kubelet.json", settings.kubelet(layout, who)),
        ("proxy.json", settings.proxy(who, cluster.node)),
    ):
        (folder / name).write_text(text)
    stack.callback(end_shims, layout)
    runtime = start(cluster, stack, "containerd", f"--config={folder}/containerd.toml")
    stack.callback(remove_containers, cluster)
    runtime.wait_for(lambda: answers(cluster), "containerd")
    cluster.load(
        images.archive(
            folder / "pause.tar", settings.PAUSE, {"/pause": layout.programs / "pause"}, ["/pause"]
        )
    )
    start(
        cluster,
        stack,
        "kubelet",
        f"--config={folder}/kubelet.json",
        f"--kubeconfig={who.kubeconfig('node')}",
        f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet-certificates",
        f"--hostname-override={cluster.node}",
        f"--node-ip={settings.NODE_ADDRESS}",
    )
    start(cluster, stack, "kube-proxy", f"--config={folder}/proxy.json")
    wait_until(
        lambda: cluster.answers("wait", f"node/{cluster.node}", "--for=condition=Ready"), "the node", PATIENCE
    )
    # Pods need the account of their namespace, which a controller makes.
    wait_until(lambda: cluster.answers("get", "serviceaccount", "default"), "service accounts", PATIENCE)


def answers(cluster: Cluster) -> bool:
    try:
        cluster.containers("version")
    except AssertionError:
        return False
    return True


def remove_containers(cluster: Cluster) -> None:
    """Kills every container; kubelet no longer runs, so they stay away."""
    spaces = set()
    for container in cluster.containers("containers", "list", "--quiet").split():
        spec = json.loads(cluster.containers("containers", "info", container))["Spec"]
        spaces |= {one.get("path") for one in spec["linux"]["namespaces"] if one["type"] == "network"}
    wait_until(lambda: no_task_is_left(cluster), "containers to end")
    for path in spaces:
        if path is not None and Path(path).name.startswith("cni-"):
            subprocess.run(["ip", "netns", "delete", Path(path).name], check=False, capture_output=True)


def end_shims(layout: Layout) -> None:
    """Ends what a pod that kubelet was starting when it stopped has left: its shim outlives the runtime."""
    for pid, command in running_descendants(1).items():
        if "containerd-shim" in command and str(layout.containerd) in command:
            for one in (*running_descendants(pid), pid):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)


def no_task_is_left(cluster: Cluster) -> bool:
    """Kills what still runs; one that ends by itself meanwhile is no failure."""
    tasks = cluster.containers("tasks", "list", "--quiet").split()
    for task in tasks:
        with suppress(AssertionError):
            cluster.containers("tasks", "delete", "--force", task)
    return not tasks


def main() -> int:
    argv = sys.argv[1:]
    command = argv[1:] if argv[:1] == ["--"] else argv
    with running() as cluster:
        return subprocess.run(
            command or [os.environ.get("SHELL", "sh")], env=cluster.environment(), check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
