"""Container images without a registry: an archive of one layer, as `docker save` writes it."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}


def archive(into: Path, name: str, files: dict[str, Path], entrypoint: Sequence[str]) -> Path:
    """Writes an image `name` of these files, by their paths in it, to `into`."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for path, source in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = source.stat().st_size, source.stat().st_mode & 0o777
            tar.addfile(entry, io.BytesIO(source.read_bytes()))
    content = layer.getvalue()
    config = json.dumps(
        {
            "architecture": ARCHITECTURE[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
        }
    ).encode()
    described = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": described, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(into, "w") as tar:
        for path, part in ((described, config), ("layer.tar", content), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(part)
            tar.addfile(entry, io.BytesIO(part))
    return into
