"""The overlays that give the agent more, on a cluster."""

from __future__ import annotations

import os

import pytest

from tests.cluster import installed as installs
from tests.cluster.cluster import Cluster
from tests.cluster.test_privileges import NUMBERS, status
from tests.cluster.workloads import Shop

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all installs the overlays, too"),
]

UNFILTERED = "0"  # no seccomp profile applies
SYS_ADMIN = 21


@pytest.mark.parametrize("overlay", ["privileged", "seccomp-unconfined"])
def test_an_agent_with_more_captures_and_has_what_its_overlay_says(
    cluster: Cluster, shop: Shop, overlay: str
) -> None:
    with installs.by_kustomize(cluster, f"daemonset/overlays/{overlay}") as spectap:
        spectap.wait_for(shop.call("http", "https"))
        found = status(spectap, "daemonset/spectap-agent")
        ours = sum(1 << number for number in NUMBERS.values())
        held = int(found["CapEff"], 16)
        assert found["Seccomp"] == UNFILTERED
        assert (held & ours, bool(held >> SYS_ADMIN & 1)) == (ours, overlay == "privileged")
