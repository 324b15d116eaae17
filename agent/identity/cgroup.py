"""The container and systemd unit in a process's cgroup path.

Both drivers are read: cgroupfs (/kubepods/burstable/pod<UID>/<container id>) and systemd
(/kubepods.slice/…/cri-containerd-<container id>.scope), and Docker's and Podman's own forms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")


@dataclass(frozen=True, slots=True)
class Membership:
    """Container id (64 hex digits) and unit name; None if the path has none."""

    container: str | None
    unit: str | None


def membership(path: str | None) -> Membership:
    """The membership in `path` of /proc/PID/cgroup."""
    text = path or ""
    containers, units = CONTAINER.findall(text), UNIT.findall(text)
    return Membership(
        container=containers[-1] if containers else None,
        unit=units[-1] if units else None,
    )
