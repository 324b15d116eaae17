"""The chart on a cluster: install, upgrade, uninstall."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.cluster import RUN, Cluster
from tests.cluster.installed import NAMESPACE, OVERLAY, Installed, nothing_left, ready
from tests.cluster.workloads import Shop
from tests.e2e.processes import REPOSITORY

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all installs the chart, too"),
]


@contextmanager
def by_helm(cluster: Cluster) -> Iterator[Installed]:
    """The same with Helm; uninstalled at the end."""
    with nothing_left(cluster):
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged")
        cluster.kubectl("apply", "--filename", OVERLAY / "volume.yaml")
        helm(cluster, "install")
        try:
            yield ready(cluster)
        finally:
            cluster.do("helm", "uninstall", "spectap", "--namespace", NAMESPACE, "--wait", "--timeout=120s")
            cluster.kubectl("delete", "--filename", OVERLAY / "volume.yaml", "--wait=false")
            cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


def helm(cluster: Cluster, action: str, *options: str) -> None:
    """Installs or upgrades the chart."""
    values = ("image.repository=localhost/", "image.tag=test", f"agent.stateFolder={RUN}/agent")
    sets = [word for value in (*values, *options) for word in ("--set-string", value)]
    chart = REPOSITORY / "daemonset/chart"
    cluster.do("helm", action, "spectap", chart, "--namespace", NAMESPACE, *sets)


def test_an_upgrade_keeps_the_secrets_and_the_data(cluster: Cluster, shop: Shop) -> None:
    with by_helm(cluster) as spectap:
        before = shop.call("http", "https")
        spectap.wait_for(before)
        helm(cluster, "upgrade", "agent.settings.SPECTAP_HEADS_ONLY=1")
        spectap.rolled_out()
        after = shop.call("https")
        found = spectap.wait_for([*before, *after])  # with the tokens of the first installation
        assert found[before[1]]["request"]["body"] is not None
        assert found[after[0]]["request"]["body"] is None
