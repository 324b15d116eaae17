"""The fingerprint key: 32 bytes in a file. A cluster mounts it from a Secret, a single host creates one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

KEY_BYTES = 32


class KeyFileError(Exception):
    """The key cannot be read or created; the message names the file and the cure, no byte of the key."""


def load_or_create(path: Path) -> bytes:
    """The key in `path`; created, readable by its owner only, if there is none. Raises KeyFileError."""
    try:
        return _read(path)
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise KeyFileError(f"cannot read the fingerprint key {path}: {error.strerror}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyFileError(
            f"the fingerprint key {path} must hold exactly {KEY_BYTES} bytes; "
            "remove the file to have a new one made (fingerprints will differ from then on)"
        )
    return key


def _create(path: Path) -> bytes:
    """Writes a file beside it and links it into place: a second process reads the first one's key."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(beside, secrets.token_bytes(KEY_BYTES))
        try:
            with contextlib.suppress(FileExistsError):
                os.link(beside, path)
        finally:
            beside.unlink()
        return _read(path)
    except OSError as error:
        raise KeyFileError(f"cannot create the fingerprint key {path}: {error.strerror}") from None


def _write(path: Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
