"""What /proc/PID/cgroup says of a process: its pod, its container, its systemd unit.

| who                   | with cgroupfs                    | with systemd                                  |
|-----------------------|----------------------------------|-----------------------------------------------|
| kubelet               | kubepods/burstable/podUID        | …-burstable-podUID.slice, "_" for "-"         |
| containerd (CRI)      | ID                               | cri-containerd-ID.scope, podUID.slice:cri-…:ID |
| CRI-O                 | crio-ID                          | crio-ID.scope, crio-ID.scope/container        |
| Docker                | docker/ID                        | docker-ID.scope                               |
| Podman                | libpod_parent/libpod-ID          | libpod-ID.scope/container                     |
| Podman, within a unit |                                  | x.service/libpod-payload-ID                   |
| conmon, of each       | crio-conmon-ID, libpod-conmon-ID | the same, as .scope                           |

An ID has 64 hexadecimal digits; conmon supervises a container from outside. A container may hold others
(kind, Docker in Docker), a pod as well: a process belongs to the innermost container, which alone has its
files, and to the outermost pod, which is the one that the cluster knows. A reader in a cgroup namespace sees
paths that begin with "/..".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SUPERVISOR = "conmon-"
POD = re.compile(r"(?:^|[-/])pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?:\.slice)?(?:[:/]|$)")
"""Static pods have a digest for a UID, without hyphens."""
CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?=/|$)")
SPLIT = re.compile(r"/libpod-payload-[0-9a-f]{64}$")
"""Podman's container within the unit that started it, as Quadlet's units do."""
SERVICE = re.compile(r"/_?([^/]+\.service)(?=/|$)")
"""systemd puts "_" before a name that the kernel might take for a file of its own."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Pod UID (with hyphens, unless it is a digest), container id, and unit name, as systemd writes it; None
    if the path has none.
    """

    pod: str | None = None
    container: str | None = None
    unit: str | None = None


NONE = Membership()


def path_in(text: bytes) -> str | None:
    """The path of /proc/PID/cgroup that says most: with version 1, not every hierarchy has the container or
    the unit.
    """
    lines = (line.split(":", 2) for line in text.decode(errors="replace").splitlines())
    paths = [parts[2] for parts in lines if len(parts) == 3]
    return max(paths, key=_telling, default=None)


def _telling(path: str) -> tuple[int, int, int]:
    return len(CONTAINER.findall(path)), len(SERVICE.findall(path)), len(path)


def membership(path: str | None) -> Membership:
    """The membership in a path of /proc/PID/cgroup.

    A unit around a container, such as docker.service, is not the process's own, unless the container is the
    unit's only purpose.
    """
    if not path:
        return NONE
    pod = POD.search(path)
    uid = None if pod is None else pod[1].replace("_", "-")
    found = [one for one in CONTAINER.finditer(path) if not path.endswith(SUPERVISOR, 0, one.start(1))]
    if not found:
        return Membership(uid, None, _service(path))
    inner = found[-1]
    split = SPLIT.search(path, 0, inner.end(1))
    unit = _service(path[inner.end() :]) or (_service(path[: split.start()]) if split else None)
    return Membership(uid, inner[1], unit)


def _service(path: str) -> str | None:
    services = SERVICE.findall(path)
    return services[-1] if services else None
