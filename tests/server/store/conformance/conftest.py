from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.store.conformance.opened import OpenStore
from tests.server.store.engines import ENGINES


@pytest.fixture(params=[*ENGINES])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """An empty store, for each engine."""
    found = OpenStore(ENGINES[request.param], tmp_path / "store")
    yield found
    found.store.close()
