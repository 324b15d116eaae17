"""The images of agent and server, as daemonset/build-images builds them."""

from __future__ import annotations

import pytest

from tests.cluster.installed import images

pytestmark = pytest.mark.cluster

MOST_MB = {"agent": 400, "server": 200}  # on disk


@pytest.mark.parametrize("name", MOST_MB)
def test_an_image_stays_small(name: str) -> None:
    assert (images() / f"{name}.tar").stat().st_size <= MOST_MB[name] * 1_000_000
