"""The agent's settings: command line over environment over default, checked once, then frozen.

Every option `--some-name` can be given as SPECTAP_SOME_NAME; lists are then separated by commas.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.loopback import is_loopback
from agent.sources.formats import FORMATS

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
    only_cgroups: tuple[str, ...]
    except_cgroups: tuple[str, ...]
    body_cap: int
    bodies: bool
    aggregation_header: str | None
    mask_names: frozenset[str]
    keep_names: frozenset[str]
    status_listen: tuple[str, int]
    key_file: Path
    cache: Path
    ring_bytes: int
    spool: Path
    spool_bytes: int
    spool_age_s: int
    forward_spool: bool
    priority: str
    log_json: bool
    log_level: str
    format: str | None
    telemetry_listen: tuple[str, int] | None
    telemetry_token: str | None
    capture: bool


@dataclass(frozen=True, slots=True)
class Option:
    """One option, with the group that says which commands have it."""

    group: str
    name: str
    help: str
    metavar: str | None = None
    default: object = None
    many: bool = False
    flag: bool = False
    choices: tuple[str, ...] | None = None

    @property
    def variable(self) -> str:
        return "SPECTAP_" + self.name.strip("-").replace("-", "_").upper()

    @property
    def field(self) -> str:
        return self.name.strip("-").replace("-", "_")


ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
LEVELS = ("debug", "info", "warning", "error")
STATE = "/var/lib/spectap-agent"  # root's; others have theirs below their own state folder
OPTIONS = (
    Option("server", "--server", "the server's URL, such as http://127.0.0.1:8080; required", "URL"),
    Option("server", "--token-file", "file with the server's ingest token", "FILE"),
    Option("place", "--agent", "this agent's name (default: the node's)", "NAME"),
    Option("place", "--node", "this node's name (default: the host's)", "NAME"),
    Option("place", "--cluster", "the cluster's name", "NAME"),
    Option("filters", "--port", "watch only connections with this port; repeatable", "PORT", many=True),
    Option("filters", "--exclude-port", "do not watch this port; repeatable", "PORT", many=True),
    Option("filters", "--process", "watch only processes of this name; repeatable", "NAME", many=True),
    Option("filters", "--pid", "watch only this process; repeatable", "PID", many=True),
    Option("filters", "--exclude-pid", "do not watch this process; repeatable", "PID", many=True),
    Option(
        "filters", "--cgroup", "watch only processes in this cgroup or below; repeatable", "PATH", many=True
    ),
    Option(
        "filters", "--exclude-cgroup", "do not watch this cgroup and below; repeatable", "PATH", many=True
    ),
    Option("redaction", "--body-cap", "bytes kept of each body", "BYTES", DEFAULT_BODY_CAP),
    Option("redaction", "--heads-only", "ship no bodies at all", flag=True),
    Option(
        "redaction",
        "--aggregation-header",
        "one request header whose value is kept, to group calls by",
        "NAME",
    ),
    Option(
        "redaction",
        "--mask",
        "mask values of this name too, wherever they occur; repeatable",
        "NAME",
        many=True,
    ),
    Option(
        "redaction",
        "--keep",
        "do not mask values of this name unless they look secret; repeatable",
        "NAME",
        many=True,
    ),
    Option("files", "--format", "what the files are; told by their content", choices=tuple(FORMATS)),
    Option(
        "status", "--status-listen", "health, metrics, status; loopback only", "HOST:PORT", DEFAULT_STATUS
    ),
    Option(
        "gateways", "--telemetry-listen", "take gateways' telemetry (APIClarity's JSON) here", "HOST:PORT"
    ),
    Option(
        "gateways",
        "--telemetry-token-file",
        "file with the token that gateways send; needed unless listening at loopback",
        "FILE",
    ),
    Option("gateways", "--no-capture", "watch nothing: take telemetry only, which needs no root", flag=True),
    Option(
        "key",
        "--key-file",
        "key of the credentials' fingerprints, made if missing; share it within a cluster"
        f" (default {STATE}/fingerprint.key)",
        "FILE",
    ),
    Option("kernel", "--cache", f"folder for what is slow to compute (default {STATE}/cache)", "DIR"),
    Option(
        "spool",
        "--spool",
        f"folder for records that the server does not have yet (default {STATE}/spool)",
        "DIR",
    ),
    Option(
        "spool",
        "--spool-mib",
        "its size; the oldest are dropped, and 0 keeps none on disk",
        "MIB",
        DEFAULT_SPOOL_MIB,
    ),
    Option("spool", "--spool-hours", "how long records wait there", "HOURS", DEFAULT_SPOOL_HOURS),
    Option("spool", "--forward-spool", "send what waits there for another server to this one", flag=True),
    Option(
        "kernel",
        "--ring-mib",
        "size of the ring between kernel and agent, which must be a power of two",
        "MIB",
        DEFAULT_RING_MIB,
    ),
    Option(
        "kernel", "--priority", "scheduling of the agent's own work", None, "idle", choices=("idle", "normal")
    ),
    Option("log", "--log-json", "log as JSON lines", flag=True),
    Option("log", "--log-level", "the least that is logged", None, "info", choices=LEVELS),
)
GROUPS = frozenset(option.group for option in OPTIONS)


def add_options(
    parser: argparse.ArgumentParser,
    environment: Mapping[str, str] = os.environ,
    groups: Set[str] = GROUPS,
) -> None:
    """Declares the options of these groups, with defaults from the environment."""
    for option in OPTIONS:
        if option.group in groups:
            _declare(parser, option, environment.get(option.variable))


def _declare(parser: argparse.ArgumentParser, option: Option, given: str | None) -> None:
    shown = "" if option.default is None else " (default %(default)s)"
    text = f"{option.help}{shown} [{option.variable}]"
    if option.flag:
        parser.add_argument(
            option.name, help=text, action="store_true", default=False if given is None else given
        )
    elif option.many:
        several = None if given is None else given.split(",")
        parser.add_argument(option.name, help=text, action="append", default=several, metavar=option.metavar)
    else:
        parser.add_argument(
            option.name,
            help=text,
            default=option.default if given is None else given,
            metavar=option.metavar,
            choices=option.choices,
        )


def settings(given: argparse.Namespace) -> Settings:
    """The checked settings; options the command does not have are at their defaults. Raises SettingError."""
    options = argparse.Namespace(**{option.field: option.default for option in OPTIONS})
    options.__dict__.update(vars(given))
    for option in OPTIONS:
        setattr(options, option.field, _checked(option, getattr(options, option.field)))
    node = options.node or socket.gethostname()
    state = state_folder()
    telemetry = _telemetry(options)
    return Settings(
        server=_server(options.server) if hasattr(given, "server") else "",
        token=_token("--token-file", options.token_file),
        agent=options.agent or node,
        node=node,
        cluster=options.cluster,
        only_ports=_numbers("--port", options.port, 65_535),
        except_ports=_numbers("--exclude-port", options.exclude_port, 65_535),
        only_pids=_numbers("--pid", options.pid, 2**31 - 1),
        except_pids=_numbers("--exclude-pid", options.exclude_pid, 2**31 - 1),
        only_names=frozenset(options.process or ()),
        only_cgroups=tuple(options.cgroup or ()),
        except_cgroups=tuple(options.exclude_cgroup or ()),
        body_cap=_number("--body-cap", options.body_cap, 0, MAX_BODY_CAP),
        bodies=not options.heads_only,
        aggregation_header=options.aggregation_header,
        mask_names=frozenset(options.mask or ()),
        keep_names=frozenset(options.keep or ()),
        status_listen=_status(options.status_listen),
        key_file=Path(options.key_file) if options.key_file else state / "fingerprint.key",
        cache=Path(options.cache) if options.cache else state / "cache",
        ring_bytes=_ring(options.ring_mib),
        spool=Path(options.spool) if options.spool else state / "spool",
        spool_bytes=_number("--spool-mib", options.spool_mib, 0, 1024 * 1024) * 1024 * 1024,
        spool_age_s=_number("--spool-hours", options.spool_hours, 1, 24 * 365) * 3600,
        forward_spool=bool(options.forward_spool),
        priority=options.priority,
        log_json=bool(options.log_json),
        log_level=options.log_level,
        format=options.format,
        telemetry_listen=telemetry,
        telemetry_token=_token("--telemetry-token-file", options.telemetry_token_file),
        capture=not options.no_capture,
    )


def _checked(option: Option, given: object) -> object:
    """What was given, where the environment may have said it: argparse checks the command line only."""
    if option.flag and isinstance(given, str):
        word = given.strip().lower()
        if word not in ON | OFF:
            raise SettingError(f"{option.variable} takes 1 or 0, true or false, yes or no, on or off")
        return word in ON
    if option.choices and given is not None and given not in option.choices:
        raise SettingError(f"{option.variable} is one of {', '.join(option.choices)}")
    if given == "" or (isinstance(given, list) and "" in given):
        raise SettingError(f"{option.name} or {option.variable} is empty: give a value, or leave it out")
    return given


def state_folder() -> Path:
    """Where the agent keeps its key, cache and spool: /var/lib/spectap-agent, or the user's state folder."""
    if os.geteuid() == 0:
        return Path(STATE)
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


def _telemetry(options: argparse.Namespace) -> tuple[str, int] | None:
    """Where gateways report to: anywhere with a token, at loopback also without."""
    if options.telemetry_listen is None:
        if options.no_capture:
            raise SettingError("--no-capture leaves nothing to do without --telemetry-listen")
        return None
    address = _address(options.telemetry_listen)
    if address is None:
        raise SettingError("--telemetry-listen takes HOST:PORT, such as 127.0.0.1:9000")
    if options.telemetry_token_file is None and not is_loopback(address[0]):
        raise SettingError(
            f"{address[0]} can be reached from other machines: give --telemetry-token-file, "
            "or listen at 127.0.0.1"
        )
    return address


def _status(listen: str) -> tuple[str, int]:
    address = _address(listen)
    if address is None or not is_loopback(address[0]):
        raise SettingError(f"--status-listen takes HOST:PORT with a loopback host, such as {DEFAULT_STATUS}")
    return address


def _address(listen: str) -> tuple[str, int] | None:
    """Where to listen, as HOST:PORT says it; None where it is something else."""
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or port is None:
        return None
    return ("127.0.0.1" if host == "localhost" else host), port


def _token(option: str, file: str | None) -> str | None:
    if not file:
        return None
    try:
        token = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingError(f"{option} {file} cannot be read: {reason}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingError(f"{option} {file} holds no token: write the token into it, on one line")
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
