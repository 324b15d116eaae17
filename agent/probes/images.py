"""The image of a container, from its runtime's files: needs no socket, and no privilege except to read.

| runtime          | file on the host                             | where in it                              |
|------------------|----------------------------------------------|------------------------------------------|
| containerd (CRI) | the task's OCI config.json, also k3s's       | annotation io.kubernetes.cri.image-name  |
| Docker           | /var/lib/docker/containers/ID/config.v2.json | Config.Image                             |
| CRI-O            | the container's OCI config.json              | annotation io.kubernetes.cri-o.ImageName |
| Podman, CRI-O    | its store's containers.json (and volatile-…) | image-name in the container's metadata   |

Only the image's name is kept; the files also contain environments. Without these files, as with a rootless
Podman, the image is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from agent.probes.roots import opened, resolved

ROOTS = ("", "/proc/1/root")
"""The host's root: of an agent on the host, and of one in a container that sees the host's processes."""
MAX_FILE = 1024 * 1024  # bytes; a larger file is not read

TASKS = "io.containerd.runtime.v2.task/k8s.io"
STORES = ("run/containers/storage/overlay-containers", "var/lib/containers/storage/overlay-containers")
IMAGE = re.compile(r"[A-Za-z0-9][\w.\-/:@\[\]+]{0,254}", re.ASCII)
"""A reference as runtimes write it (distribution's grammar, no longer than 255 characters)."""


class Images:
    """By container id. Reading files may hang (agent/probes/image_lookup.py)."""

    def __init__(self, roots: Sequence[str] = ROOTS) -> None:
        self._roots = roots

    def of(self, container: str) -> str | None:
        """The image's name as given to the runtime; None if no file has it, or none can be read."""
        for root in self._roots:
            for path, image in _places(container):
                with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
                    name = image(json.loads(_read(root + resolved(root, path))))
                    if IMAGE.fullmatch(name):
                        return name
        return None


def _read(path: str) -> bytes:
    with opened(path) as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise ValueError(path)
    return raw


def _places(container: str) -> Iterator[tuple[str, Callable[[Any], str]]]:
    """Each file, and how the image is read from it. Other content raises ValueError, TypeError or
    KeyError.
    """
    for run in ("run", "run/k3s"):
        yield f"{run}/containerd/{TASKS}/{container}/config.json", _annotation("io.kubernetes.cri.image-name")
    yield f"var/lib/docker/containers/{container}/config.v2.json", lambda file: file["Config"]["Image"]
    for store in STORES:
        userdata = f"{store}/{container}/userdata/config.json"
        yield userdata, _annotation("io.kubernetes.cri-o.ImageName")
        for name in ("containers.json", "volatile-containers.json"):
            yield f"{store}/{name}", lambda file: _listed(file, container)


def _annotation(name: str) -> Callable[[Any], str]:
    return lambda file: file["annotations"][name]


def _listed(file: Any, container: str) -> str:
    metadata = next((one["metadata"] for one in file if one["id"] == container), "{}")
    name: str = json.loads(metadata)["image-name"]
    return name
