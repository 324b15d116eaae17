"""One cache folder for all agents of a test run: what one compiles, the others take."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def cache_folder() -> Path:
    """Made when it is first asked for, removed as this process ends."""
    folder = tempfile.mkdtemp(prefix="spectap-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
