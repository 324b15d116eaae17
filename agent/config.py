"""The agent's settings: command line over environment over default, checked once, then frozen.

Every option `--some-name` can be given as SPECTAP_SOME_NAME; lists are then separated by commas.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_STATUS = "127.0.0.1:9464"
DEFAULT_BODY_CAP = 64 * 1024
MAX_BODY_CAP = 16 * 1024 * 1024
DEFAULT_RING_MIB = 64
DEFAULT_SPOOL_MIB = 256
DEFAULT_SPOOL_HOURS = 24


class SettingError(ValueError):
    """A setting cannot be used; the message is one sentence for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `spectap-agent run` was asked to do. Sizes in bytes; empty sets do not restrict."""

    server: str
    token: str | None
    agent: str
    node: str
    cluster: str | None
    only_ports: frozenset[int]
    except_ports: frozenset[int]
    only_pids: frozenset[int]
    except_pids: frozenset[int]
    only_names: frozenset[str]
    body_cap: int
    bodies: bool
    aggregation_header: str | None
    mask_names: frozenset[str]
    keep_names: frozenset[str]
    status_listen: str
    key_file: Path
    cache: Path
    ring_bytes: int
    spool: Path
    spool_bytes: int
    spool_age_s: int
    priority: str
    log_json: bool
    log_level: str


def add_options(parser: argparse.ArgumentParser, environment: Mapping[str, str] = os.environ) -> None:
    """Declares `run`'s options, with defaults from the environment."""

    def option(name: str, help: str, default: object = None, **more: object) -> None:
        variable = "SPECTAP_" + name.strip("-").replace("-", "_").upper()
        given: object = environment.get(variable)
        if given is not None and more.get("action") == "append":
            given = [part for part in str(given).split(",") if part]
        if given is not None and more.get("action") == "store_true":
            given = str(given).lower() in ("1", "true", "yes", "on")
        text = f"{help} [{variable}]"
        parser.add_argument(name, help=text, default=default if given is None else given, **more)  # type: ignore[arg-type]

    option("--server", "the analysis server's URL, such as http://127.0.0.1:8080", metavar="URL")
    option("--token-file", "file with the server's ingest token", metavar="FILE")
    option("--agent", "this agent's name (default: the node's)", metavar="NAME")
    option("--node", "this node's name (default: the host's)", metavar="NAME")
    option("--cluster", "the cluster's name", metavar="NAME")
    option("--port", "watch only connections with this port; repeatable", action="append", metavar="PORT")
    option("--exclude-port", "do not watch this port; repeatable", action="append", metavar="PORT")
    option("--process", "watch only processes of this name; repeatable", action="append", metavar="NAME")
    option("--pid", "watch only this process; repeatable", action="append", metavar="PID")
    option("--exclude-pid", "do not watch this process; repeatable", action="append", metavar="PID")
    option("--body-cap", "bytes kept of each body (default %(default)s)", DEFAULT_BODY_CAP, metavar="BYTES")
    option("--heads-only", "ship no bodies at all", action="store_true")
    option(
        "--aggregation-header", "one request header whose value is kept, to group calls by", metavar="NAME"
    )
    option(
        "--mask",
        "mask values of this name too, wherever they occur; repeatable",
        action="append",
        metavar="NAME",
    )
    option(
        "--keep",
        "do not mask values of this name unless they look secret; repeatable",
        action="append",
        metavar="NAME",
    )
    option(
        "--status-listen",
        "health, metrics and status, on loopback (default %(default)s)",
        DEFAULT_STATUS,
        metavar="HOST:PORT",
    )
    option(
        "--key-file",
        "key of the credentials' fingerprints, made if missing; share it within a cluster",
        metavar="FILE",
    )
    option("--cache", "folder for what is slow to compute", metavar="DIR")
    option("--spool", "folder for records that the server does not have yet", metavar="DIR")
    option(
        "--spool-mib",
        "its size; the oldest are dropped, and 0 keeps none on disk (default %(default)s)",
        DEFAULT_SPOOL_MIB,
        metavar="MIB",
    )
    option(
        "--spool-hours",
        "how long records wait there for the server (default %(default)s)",
        DEFAULT_SPOOL_HOURS,
        metavar="HOURS",
    )
    option(
        "--ring-mib",
        "size of the ring between kernel and agent, a power of two (default %(default)s)",
        DEFAULT_RING_MIB,
        metavar="MIB",
    )
    option(
        "--priority",
        "scheduling of the agent's own work (default %(default)s)",
        "idle",
        choices=("idle", "normal"),
    )
    option("--log-json", "log as JSON lines", action="store_true")
    option(
        "--log-level",
        "debug, info, warning or error (default %(default)s)",
        "info",
        choices=("debug", "info", "warning", "error"),
    )


def settings(options: argparse.Namespace) -> Settings:
    """The checked settings. Raises SettingError."""
    node = options.node or socket.gethostname()
    state = state_folder()
    return Settings(
        server=_server(options.server),
        token=_token(options.token_file),
        agent=options.agent or node,
        node=node,
        cluster=options.cluster,
        only_ports=_numbers("--port", options.port, 65_535),
        except_ports=_numbers("--exclude-port", options.exclude_port, 65_535),
        only_pids=_numbers("--pid", options.pid, 2**31 - 1),
        except_pids=_numbers("--exclude-pid", options.exclude_pid, 2**31 - 1),
        only_names=frozenset(options.process or ()),
        body_cap=_number("--body-cap", options.body_cap, 0, MAX_BODY_CAP),
        bodies=not options.heads_only,
        aggregation_header=options.aggregation_header,
        mask_names=frozenset(options.mask or ()),
        keep_names=frozenset(options.keep or ()),
        status_listen=options.status_listen,
        key_file=Path(options.key_file) if options.key_file else state / "fingerprint.key",
        cache=Path(options.cache) if options.cache else state / "cache",
        ring_bytes=_ring(options.ring_mib),
        spool=Path(options.spool) if options.spool else state / "spool",
        spool_bytes=_number("--spool-mib", options.spool_mib, 0, 1024 * 1024) * 1024 * 1024,
        spool_age_s=_number("--spool-hours", options.spool_hours, 1, 24 * 365) * 3600,
        priority=options.priority,
        log_json=options.log_json,
        log_level=options.log_level,
    )


def state_folder() -> Path:
    """Where the agent keeps its key, cache and spool: /var/lib/spectap-agent, or the user's state folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/spectap-agent")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "spectap-agent"


def _server(url: str | None) -> str:
    if not url:
        raise SettingError(
            "--server is missing: give the analysis server's URL, such as http://127.0.0.1:8080"
        )
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        valid = False
    if not valid:
        raise SettingError("--server is not an http:// or https:// URL")
    return url.rstrip("/")


def _token(file: str | None) -> str | None:
    if not file:
        return None
    try:
        token = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingError(f"--token-file {file} cannot be read: {reason}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingError(f"--token-file {file} holds no token: write the ingest token into it, on one line")
    return token


def _number(name: str, text: object, least: int, most: int) -> int:
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise SettingError(f"{name} takes a whole number from {least} to {most}")
    return number


def _numbers(name: str, texts: list[str] | None, most: int) -> frozenset[int]:
    return frozenset(_number(name, text, 1, most) for text in texts or ())


def _ring(text: object) -> int:
    mebibytes = _number("--ring-mib", text, 1, 1024)
    if mebibytes & (mebibytes - 1):
        raise SettingError("--ring-mib takes a power of two, such as 64")
    return mebibytes * 1024 * 1024


def own_port(server: str) -> int | None:
    """The server's port if the server is on this host, whose traffic we must then not watch; else None."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return port if all(_is_here(entry[0], str(entry[4][0])) for entry in found) else None


def _is_here(family: int, ip: str) -> bool:
    """Whether an address is one of this host's own: only those can be bound."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True
