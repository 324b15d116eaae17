"""How the Kubernetes API is reached: from inside a cluster by the pod's service account."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where kubelet mounts a service account's `token`, `ca.crt` and `namespace`."""
JSON = "application/json"


class AccessError(ValueError):
    """The API cannot be reached as configured; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Access:
    """The API server's root, and the folder with the service account's files."""

    url: str
    folder: Path

    def token(self) -> str | None:
        """The bearer token as it is now, since kubelet renews it; None of a local proxy that needs none.

        Raises OSError.
        """
        if self.is_plain and not (self.folder / "token").exists():
            return None
        return (self.folder / "token").read_text().strip()

    def headers(self, accept: str = JSON) -> dict[str, str]:
        """Those of a request. Raises OSError."""
        headers = {"accept": accept, "accept-encoding": "identity", "user-agent": "spectap"}
        token = self.token()
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return headers

    def trust(self) -> ssl.SSLContext:
        """Trusts the cluster's CA only. Raises OSError.

        CAs of older clusters lack the key identifiers on which Python's strict checks (from 3.13 on) insist.
        """
        if self.is_plain:
            return ssl.create_default_context()
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    @property
    def is_plain(self) -> bool:
        """Whether the API is reached without TLS, through a proxy on loopback."""
        return self.url.startswith("http://")

    @property
    def namespace(self) -> str | None:
        """The namespace of the service account; None if the mount does not say."""
        try:
            return (self.folder / "namespace").read_text().strip() or None
        except OSError:
            return None


def access(url: str | None, folder: str | None, environment: Mapping[str, str]) -> Access:
    """The configured access, or that of a pod in the cluster. Raises AccessError."""
    place = Path(folder) if folder else FOLDER
    root = url or _in_cluster(environment)
    if root is None:
        raise AccessError(
            "the Kubernetes API's address is unknown: run in a pod, or give --kubernetes-api https://HOST:PORT"
        )
    try:
        parts = urlsplit(root)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise AccessError("--kubernetes-api is not an https:// URL")
    if parts.scheme == "http" and not _is_loopback(host):
        raise AccessError("--kubernetes-api takes http:// for a proxy on loopback only: give an https:// URL")
    found = Access(root.rstrip("/"), place)
    for name in () if found.is_plain else ("token", "ca.crt"):
        if not (place / name).is_file():
            raise AccessError(
                f"{place / name} does not exist: run with a service account whose token is mounted, "
                "or give its folder to --kubernetes-account"
            )
    return found


def _in_cluster(environment: Mapping[str, str]) -> str | None:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
