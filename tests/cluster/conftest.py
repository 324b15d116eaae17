"""One cluster for all tests of it, with spectap installed and two workloads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import cluster as clusters
from tests.cluster import host, images, workloads
from tests.cluster import installed as installs
from tests.cluster.cluster import Cluster
from tests.cluster.installed import Installed
from tests.cluster.workloads import Shop
from tests.e2e.certificates import make


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    missing = clusters.missing_tools()
    if missing:
        pytest.fail(f"{', '.join(missing)} missing here: TIERS=all make setup-tests installs them")
    folder, before = installs.images(), host.traces()
    with clusters.running() as running:
        for name in installs.IMAGES:
            running.load(folder / f"{name}.tar")
        echo = {"/echo": running.layout.programs / "echo"}
        running.load(
            images.archive(tmp_path_factory.mktemp("images") / "echo.tar", workloads.GO, echo, ["/echo"])
        )
        yield running
    assert host.traces() == before, "the cluster left something on this host"


@pytest.fixture(scope="session")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    with workloads.shop(cluster, make(folder)) as made:
        yield made


@pytest.fixture(scope="module")
def spectap(cluster: Cluster, shop: Shop) -> Iterator[Installed]:
    """Installed anew for each module, after the workloads, as on a cluster that is in use."""
    with installs.by_kustomize(cluster) as made:
        yield made
