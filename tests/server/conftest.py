from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.ingest import dating
from tests.server.records import NOON
from tests.server.running import Client, serving


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path) as client:
        yield client


@pytest.fixture(autouse=True)
def _noon_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of tests are of a fixed noon, whatever the clock of this machine says."""
    monkeypatch.setattr(dating, "MOST_AHEAD", NOON)
