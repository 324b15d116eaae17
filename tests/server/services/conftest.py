"""A server's core without HTTP. Use cases are called on the test's thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.analysis.specs.load import load
from server.config import ServerSettings
from server.core import Core
from server.store.sqlite.store import SqliteStore


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(ServerSettings("127.0.0.1", 0, tmp_path), SqliteStore(tmp_path), load)
    yield core
    core.store.close()
