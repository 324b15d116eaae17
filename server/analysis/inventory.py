"""The API and the consumer of a record, from the record alone.

An API is the server-side workload if known, else the server's process (node, network namespace, executable,
port), else the called address. The key never contains a pid. Host names from clients are aliases only: anyone
can send any name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from agent.wire import Endpoint, Process, Record

MAX_NAME = 200  # characters kept of a name from the network
CLUSTER_SUFFIXES = (".svc", ".local", ".internal", ".localhost")

Key = tuple[str | int | None, ...]


class ApiKind(StrEnum):
    WORKLOAD = "workload"
    PROCESS = "process"
    ADDRESS = "address"  # provisional: only clients were seen
    HOST = "host"  # provisional: only clients were seen, an external name
    DECLARED = "declared"  # a specification came before any traffic


PROVISIONAL = frozenset({ApiKind.ADDRESS, ApiKind.HOST, ApiKind.DECLARED})


class ConsumerKind(StrEnum):
    WORKLOAD = "workload"
    POD = "pod"
    NAMESPACE = "namespace"
    IMAGE = "image"
    CHART = "chart"
    CERTIFICATE = "certificate"
    PROCESS = "process"
    USER_AGENT = "user_agent"
    TEST = "test"
    AGGREGATION = "aggregation"
    IP = "ip"
    UNKNOWN = "unknown"
    OTHER = "other"  # beyond the bound of kept consumers


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of an API. `host` is the name the client used, with the port if it gave one."""

    key: Key
    kind: ApiKind
    name: str
    internal: bool
    node: str | None
    process: str | None
    executable: str | None
    port: int | None
    namespace: str | None
    workload: str | None
    cluster: str | None = None


def key_of(record: Record) -> Key:
    """The key of the record's API. Equal keys are the same API."""
    server, process = record.server, record.process
    if server is not None and server.workload:
        return (ApiKind.WORKLOAD, record.cluster, server.namespace, server.workload)
    if record.side == "server" and process is not None and (process.executable or process.name):
        netns = server.netns if server else None
        port = server.port if server else None
        return (ApiKind.PROCESS, record.cluster, record.node, netns, process.executable or process.name, port)
    return _called(record, server)


def _called(record: Record, server: Endpoint | None) -> Key:
    host = host_of(record)
    if server is None:
        return (ApiKind.HOST, record.cluster, host or "unknown")
    if is_loopback(server.ip):
        return (ApiKind.ADDRESS, record.cluster, record.node, server.netns, server.ip, server.port)
    if host and not is_internal(server.ip) and not is_address(host):
        return (ApiKind.HOST, record.cluster, f"{name_of(host)}:{server.port}")
    return (ApiKind.ADDRESS, record.cluster, None, None, server.ip, server.port)


def identify(record: Record) -> Identity:
    """What the inventory shows of a new API."""
    key, server, process = key_of(record), record.server, record.process
    kind = ApiKind(str(key[0]))
    seen = process if record.side == "server" else None
    return Identity(
        key=key,
        kind=kind,
        name=_name(kind, key, record)[:MAX_NAME],
        internal=_internal(record, kind),
        node=record.node if seen and kind is not ApiKind.WORKLOAD else None,  # its pods are on several
        process=seen.name if seen else None,
        executable=seen.executable if seen else None,
        port=server.port if server else None,
        namespace=server.namespace if server else None,
        workload=server.workload if server else None,
        cluster=record.cluster,
    )


def _name(kind: ApiKind, key: Key, record: Record) -> str:
    server, process = record.server, record.process
    if kind is ApiKind.WORKLOAD:
        return "/".join(str(part) for part in key[2:] if part)
    if kind is ApiKind.PROCESS and process is not None:
        name = name_of_process(process)
        return f"{name}:{server.port}" if server else name
    if kind is ApiKind.ADDRESS and server is not None and server.service:
        return f"{server.namespace}/{server.service}:{server.port}"
    if kind is ApiKind.ADDRESS and server is not None:
        return f"[{server.ip}]:{server.port}" if ":" in server.ip else f"{server.ip}:{server.port}"
    return str(key[-1])


def name_of_process(process: Process) -> str:
    """What people call a process: its systemd unit; else the image of its container, without tag and digest,
    so that a release does not make it another; else its own name.
    """
    return process.unit or _repository(process.image or "") or process.name


def _repository(image: str) -> str:
    """An image's name without tag and digest; "" for one that is known by its digest only."""
    name = image.partition("@")[0]
    folder, _, last = name.rpartition("/")
    last = last.partition(":")[0]
    if not folder and last in ("sha256", "sha512"):
        return ""
    return f"{folder}/{last}" if folder else last


def _internal(record: Record, kind: ApiKind) -> bool:
    if kind in (ApiKind.WORKLOAD, ApiKind.PROCESS):
        return True
    if record.server is not None:
        return is_internal(record.server.ip)
    name = name_of(host_of(record) or "")
    return is_internal(name) if is_address(name) else "." not in name or name.endswith(CLUSTER_SUFFIXES)


@lru_cache(maxsize=4096)
def is_internal(ip: str) -> bool:
    """Whether an address is loopback, private or link-local: not of the public internet."""
    try:
        return not ipaddress.ip_address(ip).is_global
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def is_loopback(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """Whether the text is an IP literal, possibly bracketed and with a port."""
    try:
        ipaddress.ip_address(name_of(host))
    except ValueError:
        return False
    return True


def host_of(record: Record) -> str | None:
    """Host or :authority as lower-case text; None if absent or empty, and for CONNECT, where it is not the
    host of the API that is called but where the proxy's tunnel leads.
    """
    request = record.request
    if request is None or not request.authority or request.method == "CONNECT":
        return None
    return _host_text(request.authority)


@lru_cache(maxsize=4096)
def _host_text(authority: bytes) -> str:
    return authority.decode("utf-8", "backslashreplace").lower()[:MAX_NAME]


@lru_cache(maxsize=4096)
def name_of(host: str) -> str:
    """A host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def caller(records: Sequence[Record]) -> tuple[ConsumerKind, str]:
    """The consumer, by the best hint of all views. The order of views does not matter."""
    clients = [record.client for record in records if record.client is not None]
    for end in clients:
        if end.workload:
            return ConsumerKind.WORKLOAD, "/".join(filter(None, (end.namespace, end.workload)))
    for end in clients:
        if end.pod:
            return ConsumerKind.POD, "/".join(filter(None, (end.namespace, end.pod)))
    for record in records:
        if record.consumer.client_name:
            return ConsumerKind.CERTIFICATE, record.consumer.client_name[:MAX_NAME]
    for record in records:
        if record.side == "client" and record.process is not None:
            return ConsumerKind.PROCESS, name_of_process(record.process)[:MAX_NAME]
    for record in records:
        if record.consumer.user_agent:
            return ConsumerKind.USER_AGENT, record.consumer.user_agent[:MAX_NAME]
    return (ConsumerKind.IP, clients[0].ip) if clients else (ConsumerKind.UNKNOWN, "unknown")
