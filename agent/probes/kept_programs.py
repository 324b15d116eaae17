"""Compiled programs that outlive the agent: the next start on this kernel compiles nothing.

What is kept goes into the kernel. So it is taken only from a folder and a file that nobody but root, or this
user, can have written. The kernel's verifier judges every program at every load, wherever it comes from.

    the folder, and in it the file for this source    a start
    ----------------------------------------------    ------------------------------------------
    none                                              compiles, and keeps the result
    another user's, or others may write to it         compiles, keeps nothing, and logs a warning
    broken, or the compiler has changed since         compiles, and replaces it
    as it was written                                 takes it
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from agent.probes import compiler
from agent.probes.compiler import Compiled, Source

FORMAT = b"1"  # of these files
PREFIX = "programs-"
MOST_BYTES = 4 * 1024 * 1024  # of a file; all programs take 0.5 MiB
MOST_FILES = 8  # of which the last used ones are kept: each kernel, backend and version has its own
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

log = logging.getLogger(__name__)


class UntrustedError(OSError):
    """Somebody else could have written this."""


def compiled(source: Source, folder: Path | None) -> Compiled:
    """What is kept for this source in `folder`, or else compiled now, and kept. Raises CompilerError."""
    key = _key(source)
    try:
        found = None if folder is None else _read(folder, key)
    except OSError as error:
        log.warning("compiled programs are not kept: %s: %s", folder, error.strerror)
        folder = found = None
    if found is None:
        began = time.monotonic()
        found = compiler.compile_apart(source)
        log.info("compiled the capture programs in %.1f s", time.monotonic() - began)
        if folder is not None:
            _keep(folder, key, found)
    return found


def _key(source: Source) -> bytes:
    """A digest of all that decides what is compiled; the compiler's own files are kept with the result."""
    kernel = os.uname()
    digest = hashlib.sha256(FORMAT)
    for part in (kernel.release, kernel.version, kernel.machine):
        digest.update(part.encode() + b"\0")
    digest.update(msgspec.json.encode(source))
    for header in sorted(compiler.FOLDER.glob("include/**/*.h")):
        digest.update(b"\0" + str(header.relative_to(compiler.FOLDER)).encode() + b"\0" + header.read_bytes())
    return digest.digest()


def _name(key: bytes) -> str:
    return PREFIX + key.hex()


def _read(folder: Path, key: bytes) -> Compiled | None:
    """None if there is nothing that holds. Raises OSError, such as UntrustedError."""
    try:
        with _opened(folder) as directory:
            descriptor = os.open(_name(key), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            with open(descriptor, "rb") as file:
                _check(os.fstat(descriptor))
                found = _parsed(key, file.read(MOST_BYTES))
                if found is not None:
                    with suppress(OSError):  # it may be there to be read only
                        os.utime(descriptor)
    except FileNotFoundError:
        return None
    return found


def _parsed(key: bytes, text: bytes) -> Compiled | None:
    """None if it is not what was written, or another compiler's."""
    digest, content = text[: hashlib.sha256().digest_size], text[hashlib.sha256().digest_size :]
    if digest != _digest(key, content):
        return None
    try:
        found = msgspec.msgpack.decode(content, type=Compiled)
        same = all(compiler.state_of(file.path) == file for file in found.compiler)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if same else None


def _digest(key: bytes, content: bytes) -> bytes:
    return hashlib.sha256(key + content).digest()


def _keep(folder: Path, key: bytes, found: Compiled) -> None:
    content = msgspec.msgpack.encode(found)
    partial = f"{_name(key)}.{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(folder) as directory:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
            with open(descriptor, "wb") as file:
                file.write(_digest(key, content) + content)
            os.rename(partial, _name(key), src_dir_fd=directory, dst_dir_fd=directory)
            _remove_old(directory)
    except OSError as error:
        log.warning("compiled programs are not kept: %s: %s", folder, error.strerror)


def _remove_old(directory: int) -> None:
    """Removes all but the last used files, and what a start that was killed left behind."""
    names = [name for name in os.listdir(directory) if name.startswith(PREFIX)]
    used = {name: os.stat(name, dir_fd=directory).st_mtime_ns for name in names}
    for name in sorted(names, key=used.__getitem__, reverse=True)[MOST_FILES:]:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder's descriptor: files are reached through it, so that no other folder can take its place."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check(os.fstat(directory))
        yield directory
    finally:
        os.close(directory)


def _check(found: os.stat_result) -> None:
    """Raises UntrustedError."""
    if found.st_uid not in (0, os.geteuid()):
        raise UntrustedError(0, "it belongs to another user")
    if found.st_mode & OTHERS_MAY_WRITE:
        raise UntrustedError(0, "others may write to it; run: chmod go-w")
