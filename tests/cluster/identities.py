"""Who is who in a test cluster: an authority, certificates of its parts, and kubeconfigs with them.

Everything is for one cluster, which lives for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.authority import Authority, private

CLIENTS = {
    "admin": ("admin", "system:masters"),
    "kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
    "controllers": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "proxy": ("system:kube-proxy", None),
}
"""Common name and organisation of each client: its user and its group in Kubernetes."""


@dataclass(frozen=True, slots=True)
class Identities:
    """The folder with them: NAME.crt, NAME.key and NAME.kubeconfig; `ca.crt`; `accounts.key`, which signs the
    tokens of service accounts.
    """

    folder: Path

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def kubeconfig(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"


def make(folder: Path, node: str, names: Sequence[str], url: str) -> Identities:
    """Identities for a node and an API server that clients reach at `url`, and that has these DNS names and
    addresses.
    """
    folder.mkdir(mode=0o700, parents=True)
    made = Identities(folder)
    authority = Authority()
    made.certificate("ca").write_bytes(authority.pem)
    _write(made, "apiserver", authority.issue("kube-apiserver", None, names))
    clients = CLIENTS | {"node": (f"system:node:{node}", "system:nodes")}
    for name, (user, group) in clients.items():
        _write(made, name, authority.issue(user, group))
        made.kubeconfig(name).write_text(json.dumps(_kubeconfig(made, name, url)))
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made.key("accounts").write_bytes(private(accounts))
    return made


def _write(made: Identities, name: str, issued: tuple[bytes, bytes]) -> None:
    certificate, key = issued
    made.certificate(name).write_bytes(certificate)
    made.key(name).write_bytes(key)


def _kubeconfig(made: Identities, name: str, url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": url, "certificate-authority": str(made.certificate("ca"))}}
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate": str(made.certificate(name)),
                    "client-key": str(made.key(name)),
                },
            }
        ],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    }
