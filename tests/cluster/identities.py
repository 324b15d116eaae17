"""Who is who in a test cluster: an authority, certificates of its parts, and kubeconfigs with them.

Everything is for one cluster, which lives for minutes. As in clusters of some years ago, certificates have no
key identifiers.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=2)
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
    authority = _Authority()
    made.certificate("ca").write_bytes(authority.pem)
    _write(made, "apiserver", authority.issue("kube-apiserver", None, names))
    clients = CLIENTS | {"node": (f"system:node:{node}", "system:nodes")}
    for name, (user, group) in clients.items():
        _write(made, name, authority.issue(user, group))
        made.kubeconfig(name).write_text(json.dumps(_kubeconfig(made, name, url)))
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made.key("accounts").write_bytes(_private(accounts))
    return made


class _Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test cluster")])
        made = _builder(self._name, self._name, self._key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, user: str, group: str | None, names: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """A certificate and its key: a server's if it has names, else a client's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        made = _builder(x509.Name(subject), self._name, key.public_key())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            made = made.add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
        signed = made.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), _private(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


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
