"""The server's settings, checked before anything starts."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import pwd
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.kube.access import AccessError, access
from server.analysis.specs.judging.policy import ReportingPolicy
from server.cluster.settings import ClusterSettings
from server.tls import TlsFiles

DEFAULT_LISTEN = "127.0.0.1:8080"
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
MOST_DAYS = 36_500  # of retention
DEFAULT_DAYS = 7.0
DEFAULT_BYTES = 1024**3
LOG_LEVELS = ("debug", "info", "warning", "error")
MIN_BYTES = 4 * 1024**2
MIN_TOKEN = 16  # characters; the digest has no salt, so tokens must not be guessable
HASHED = "sha256:"
STARTED_BY = ("SUDO_UID", "PKEXEC_UID")
ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class ConfigError(ValueError):
    """A setting is invalid; one sentence with the cure."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Tokens are SHA-256 digests. A role without one is open to `local_users` (uids), or to every user of
    this machine if that is None.
    """

    host: str
    port: int
    data: Path
    ingest_token: bytes | None = None
    admin_token: bytes | None = None
    retention_days: float = DEFAULT_DAYS
    retention_bytes: int = DEFAULT_BYTES
    log_json: bool = False
    log_level: str = "info"
    salvage: bool = False
    policy: ReportingPolicy = field(default_factory=ReportingPolicy)
    cluster: ClusterSettings | None = None
    local_users: frozenset[int] | None = field(default_factory=lambda: trusted_users())
    tls: TlsFiles | None = None

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def trusted_users() -> frozenset[int]:
    """The uids of root, of this process, and of the user who started it by sudo or pkexec."""
    started_by = (os.environ.get(name, "") for name in STARTED_BY)
    return frozenset({0, os.geteuid(), *(int(uid) for uid in started_by if uid.isdecimal())})


def user_name(uid: int) -> str:
    """A user's name, or the uid if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def read_token(path: Path) -> bytes:
    """The digest of the token in a file, which contains the token itself or "sha256:" and its hex digest.

    Raises ConfigError.
    """
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"cannot read the token file {path}: {reason}") from None
    if text.startswith(HASHED):
        try:
            hashed = bytes.fromhex(text.removeprefix(HASHED))
        except ValueError:
            hashed = b""
        if len(hashed) != 32:
            raise ConfigError(f"{path}: after {HASHED} come 64 hex digits, as sha256sum prints them")
        return hashed
    if len(text) < MIN_TOKEN:
        raise ConfigError(f"{path}: a token has at least {MIN_TOKEN} characters; try: openssl rand -hex 32")
    return digest(text)


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT, [V6]:PORT or :PORT (all addresses). Raises ConfigError."""
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ConfigError(f"--listen takes HOST:PORT or [V6]:PORT, such as {DEFAULT_LISTEN} or [::1]:8080")
    return found["v6"] or found["host"] or "0.0.0.0", int(found["port"])


def switch(variable: str, given: bool | str) -> bool:
    """Whether a flag is on: True, or a word from its environment variable. Raises ConfigError."""
    if isinstance(given, bool):
        return given
    word = given.strip().lower()
    if word not in ON | OFF:
        raise ConfigError(f"{variable} takes 1 or 0, true or false, yes or no, on or off")
    return word in ON


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def default_data() -> Path:
    """$XDG_STATE_HOME/spectap; /var/lib/spectap for root; else ~/.local/state/spectap."""
    state = os.environ.get("XDG_STATE_HOME")
    if state:
        return Path(state) / "spectap"
    return Path("/var/lib/spectap") if os.geteuid() == 0 else Path.home() / ".local/state/spectap"


def cluster(
    on: bool, name: str | None, api: str | None, account: str | None, specs_from: Iterable[str] = ()
) -> ClusterSettings | None:
    """How the cluster's API is reached; None without --kubernetes. Raises ConfigError."""
    namespaces = frozenset(specs_from)
    if not on:
        if api or account or namespaces:
            raise ConfigError(
                "--kubernetes-api, --kubernetes-account and --specs-from need --kubernetes: add it"
            )
        return None
    try:
        return ClusterSettings(access(api, account, os.environ), name, namespaces)
    except AccessError as error:
        raise ConfigError(str(error)) from None


def tls(certificate: str | None, key: str | None, client_ca: str | None) -> TlsFiles | None:
    """The files of TLS, which are readable and fit together; None without. Raises ConfigError."""
    if bool(certificate) != bool(key):
        raise ConfigError("--tls-cert and --tls-key belong together: give both, or neither")
    if not certificate or not key:
        if client_ca:
            raise ConfigError("--tls-client-ca has an effect only with --tls-cert and --tls-key: add them")
        return None
    found = TlsFiles(Path(certificate), Path(key), Path(client_ca) if client_ca else None)
    try:
        found.stamp()
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from None
    for files, names in (
        (replace(found, client_ca=None), "--tls-cert and --tls-key"),
        (found, "--tls-client-ca"),
    ):
        try:
            files.context()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{names} cannot be used for TLS: {error}") from None
    return found


def checked(settings: ServerSettings) -> ServerSettings:
    """The settings, checked to be safe. Raises ConfigError."""
    if not settings.loopback and not (settings.ingest_token and settings.admin_token):
        raise ConfigError(
            f"{settings.host} is reachable from other machines: give --ingest-token-file and"
            " --admin-token-file, or listen at 127.0.0.1"
        )
    if settings.log_level not in LOG_LEVELS:
        raise ConfigError(f"--log-level is one of {', '.join(LOG_LEVELS)}")
    if not 0 < settings.retention_days <= MOST_DAYS:
        raise ConfigError(f"--retention-days takes a number above 0, and {MOST_DAYS:,} at most")
    if settings.retention_bytes < MIN_BYTES:
        raise ConfigError(f"--retention-bytes takes at least {MIN_BYTES}")
    return settings
