"""The configuration files of containerd, its network plugin, kubelet and kube-proxy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.identities import Identities

SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/24"
NODE_ADDRESS = "10.245.0.1"
PAUSE = "localhost/pause:1"
PLUGINS = "/usr/lib/cni"  # of Debian's containernetworking-plugins


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: `folder` has the cluster's state, `run` sockets and what containers run from, and
    `programs` the parts of Kubernetes.
    """

    folder: Path
    run: Path
    programs: Path

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def containerd(self) -> Path:
        return self.run / "containerd.sock"


def containerd(layout: Layout) -> str:
    """In hosts where an ancestor lacks CAP_SYS_RESOURCE negative scores for the OOM killer fail: they are
    restricted.
    """
    return f"""version = 2
root = "{layout.folder}/containerd"
state = "{layout.run}/containerd"
[grpc]
  address = "{layout.containerd}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{layout.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.folder}/opt"
"""


def network(layout: Layout) -> str:
    """Each pod has an interface of its own, routed by the node."""
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.folder / "addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": "spectap-test", "plugins": [plugin]})


def kubelet(layout: Layout, identities: Identities) -> str:
    """Never evicts, and collects no images: this host's disk is not ours to judge."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(identities.certificate("ca"))},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "clusterDNS": [NODE_ADDRESS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{layout.containerd}",
            "evictionHard": dict.fromkeys(
                ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%"
            ),
            "failCgroupV1": False,
            "failSwapOn": False,
            "healthzPort": 0,
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "makeIPTablesUtilChains": False,
            "nodeStatusUpdateFrequency": "2s",
            "podLogsDir": str(layout.folder / "logs"),
            "syncFrequency": "5s",
            "volumePluginDir": str(layout.folder / "volume-plugins"),
        }
    )


def audit() -> str:
    """Of every call who made it, and its answer's status; once, when it is over."""
    return json.dumps(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
    )


def proxy(identities: Identities, node: str) -> str:
    """Leaves the kernel's connection tracking as it is."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": NODE_ADDRESS,
            "clientConnection": {"kubeconfig": str(identities.kubeconfig("proxy"))},
            "clusterCIDR": PODS,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "healthzBindAddress": "127.0.0.1:10256",
            "hostnameOverride": node,
            "iptables": {"localhostNodePorts": False},
        }
    )
