"""Temporary folders that are removed at the end; those of a killed process at the next start.

A folder is locked before anything is written to it. So one with content that can be locked has no owner any
more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "spectap-up-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, removed when the context exits."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with _opened(folder) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), _opened(folder) as held:
            if os.fstat(held).st_uid == os.geteuid() and os.listdir(held):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield held
    finally:
        os.close(held)
