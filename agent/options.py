"""The agent's options, one row each, with its group; each command has some of the groups.

Every option `--some-name` can also be set as SPECTAP_SOME_NAME; lists are then separated by commas.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass

from agent.sources.formats import FORMATS
from agent.state_folder import STATE

DEFAULT_STATUS = "127.0.0.1:9464"
DEFAULT_BODY_CAP = 64 * 1024
DEFAULT_RING_MIB = 64
DEFAULT_SPOOL_MIB = 256
DEFAULT_SPOOL_HOURS = 24
DEFAULT_CPU = 5
DEFAULT_CPU_MAX = 1
DEFAULT_MEMORY_MIB = 512


@dataclass(frozen=True, slots=True)
class Option:
    """One option; its group decides which commands have it."""

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
BACKENDS = ("kprobes", "tracepoints", "packets")  # as in agent/capture/choice.py, which only capture needs
LEVELS = ("debug", "info", "warning", "error")
OPTIONS = (
    Option("server", "--server", "the server's URL, such as http://127.0.0.1:8080; required", "URL"),
    Option("server", "--token-file", "file with the server's ingest token", "FILE"),
    Option(
        "server",
        "--ca-file",
        "file with the authorities that may vouch for an https:// server (default: the public ones)",
        "FILE",
    ),
    Option("server", "--client-cert", "file with this agent's certificate, if the server wants one", "FILE"),
    Option("server", "--client-key", "file with its private key, without a passphrase", "FILE"),
    Option("place", "--agent", "this agent's name (default: the node's name)", "NAME"),
    Option("place", "--node", "this node's name (default: the host name)", "NAME"),
    Option("place", "--cluster", "the cluster's name", "NAME"),
    Option("filters", "--port", "capture only connections with this port; repeatable", "PORT", many=True),
    Option("filters", "--exclude-port", "do not capture this port; repeatable", "PORT", many=True),
    Option("filters", "--process", "capture only processes with this name; repeatable", "NAME", many=True),
    Option("filters", "--pid", "capture only this process; repeatable", "PID", many=True),
    Option("filters", "--exclude-pid", "do not capture this process; repeatable", "PID", many=True),
    Option(
        "filters", "--cgroup", "capture only processes in this cgroup or below; repeatable", "PATH", many=True
    ),
    Option(
        "filters", "--exclude-cgroup", "do not capture this cgroup and below; repeatable", "PATH", many=True
    ),
    Option(
        "kubernetes",
        "--kubernetes",
        "name pods and workloads: watch this node's pods at the Kubernetes API",
        flag=True,
    ),
    Option(
        "kubernetes",
        "--capture",
        'which pods are captured: all but those with the annotation spectap.io/capture: "false" and those of '
        'kube-system, or only those with "true"',
        None,
        "all",
        choices=("all", "annotated"),
    ),
    Option(
        "kubernetes",
        "--annotations-from",
        "namespace whose annotations have an effect (default: capture's of any, aggregation-header's of "
        "none); repeatable",
        "NAMESPACE",
        many=True,
    ),
    Option(
        "kubernetes",
        "--kubernetes-api",
        "the Kubernetes API's URL (default: the cluster's, in a pod)",
        "URL",
    ),
    Option(
        "kubernetes",
        "--kubernetes-account",
        "directory with a service account's token and ca.crt (default: where a pod has them)",
        "DIR",
    ),
    Option("redaction", "--body-cap", "bytes kept of each body", "BYTES", DEFAULT_BODY_CAP),
    Option("redaction", "--heads-only", "ship no bodies", flag=True),
    Option(
        "redaction",
        "--websocket",
        "keep JSON text messages of WebSocket connections, redacted, up to --body-cap each way",
        flag=True,
    ),
    Option(
        "redaction",
        "--aggregation-header",
        "request header whose value is kept to group calls by",
        "NAME",
    ),
    Option(
        "redaction",
        "--mask",
        "also mask values of this name, wherever they occur; repeatable",
        "NAME",
        many=True,
    ),
    Option(
        "redaction",
        "--keep",
        "keep values of this name unless they look secret; repeatable",
        "NAME",
        many=True,
    ),
    Option("files", "--format", "input format (default: detected from content)", choices=tuple(FORMATS)),
    Option(
        "status",
        "--status-listen",
        "address of health, metrics and status; any address but loopback requires a token",
        "HOST:PORT",
        DEFAULT_STATUS,
    ),
    Option(
        "status",
        "--status-token-file",
        "file with the bearer token for metrics and status; health needs none",
        "FILE",
    ),
    Option(
        "gateways",
        "--telemetry-listen",
        "address at which gateways report telemetry (APIClarity's JSON)",
        "HOST:PORT",
    ),
    Option(
        "gateways",
        "--telemetry-token-file",
        "file with the token that gateways send; required unless listening on loopback",
        "FILE",
    ),
    Option("gateways", "--no-capture", "receive telemetry only, without capture; needs no root", flag=True),
    Option(
        "key",
        "--key-file",
        "file with the key for credential fingerprints, created if missing; share it within a cluster"
        f" (default {STATE}/fingerprint.key)",
        "FILE",
    ),
    Option(
        "kernel",
        "--backend",
        "how sockets are observed (default: the first that works here)",
        choices=BACKENDS,
    ),
    Option(
        "kernel",
        "--cache",
        f"directory of what the next start takes from this one: compiled programs (default {STATE}/cache)",
        "DIR",
    ),
    Option("kernel", "--no-cache", "compile at each start, and keep nothing for the next", flag=True),
    Option(
        "spool",
        "--spool",
        f"directory of the spool: records that no server has acknowledged (default {STATE}/spool)",
        "DIR",
    ),
    Option(
        "spool",
        "--spool-mib",
        "maximum size of the spool in MiB; the oldest records are dropped first; 0 disables it",
        "MIB",
        DEFAULT_SPOOL_MIB,
    ),
    Option(
        "spool", "--spool-hours", "hours that a record is kept in the spool", "HOURS", DEFAULT_SPOOL_HOURS
    ),
    Option(
        "spool",
        "--forward-spool",
        "send records that wait in the spool for another server to this one",
        flag=True,
    ),
    Option(
        "kernel",
        "--ring-mib",
        "size of the ring between kernel and agent, which must be a power of two",
        "MIB",
        DEFAULT_RING_MIB,
    ),
    Option(
        "java",
        "--java",
        "capture Java's own TLS as well: changes classes in running Java virtual machines",
        flag=True,
    ),
    Option(
        "cost",
        "--priority",
        "scheduling class of the agent's threads",
        None,
        "idle",
        choices=("idle", "normal"),
    ),
    Option(
        "cost",
        "--cpu",
        "percent of the node's CPU that the agent takes while it is behind, whatever else runs",
        "PERCENT",
        DEFAULT_CPU,
    ),
    Option("cost", "--cpu-max", "most cores that the agent uses", "CORES", DEFAULT_CPU_MAX),
    Option(
        "cost",
        "--memory-mib",
        "memory in MiB, beside the ring, beyond which the agent captures less",
        "MIB",
        DEFAULT_MEMORY_MIB,
    ),
    Option(
        "cost", "--no-step-down", "capture everything, however late or large the agent becomes", flag=True
    ),
    Option("log", "--log-json", "log as JSON lines", flag=True),
    Option("log", "--log-level", "minimum log level", None, "info", choices=LEVELS),
)
GROUPS = frozenset(option.group for option in OPTIONS)


def add_options(
    parser: argparse.ArgumentParser,
    environment: Mapping[str, str] = os.environ,
    groups: Set[str] = GROUPS,
) -> None:
    """Adds the options of these groups, with defaults from the environment."""
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
