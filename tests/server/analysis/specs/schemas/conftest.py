"""The tests of schemas hold for small documents, compiled at once, and large ones, compiled when needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.analysis.specs.schemas import validators


@pytest.fixture(params=["together", "deferred"], autouse=True, scope="module")
def compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "deferred":
            patch.setattr(validators, "MAX_TOGETHER", -1)
        yield
