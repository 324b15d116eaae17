"""Calls between pods, through a Service, as the server's API shows them."""

from __future__ import annotations

import os

import pytest

from tests.cluster.installed import Installed
from tests.cluster.workloads import NAMESPACE, Shop

pytestmark = pytest.mark.cluster

PAIRS = [("cart", "orders"), ("till", "goods")]  # Python, and Go
if os.environ.get("TIERS") == "all":
    PAIRS += [("cart", "front"), ("cart", "goods"), ("till", "orders"), ("till", "front")]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("client", "server"), PAIRS)
def test_a_call_through_a_service_is_one_exchange_with_a_pod_at_each_end(
    spectap: Installed, shop: Shop, client: str, server: str, scheme: str
) -> None:
    ids = shop.call(scheme, scheme, client=client, server=server)
    pods = {"client": shop.pods[client], "server": shop.pods[server]}
    names = {"client": client, "server": server}
    for exchange in spectap.wait_for(ids).values():
        views = {view["side"]: view["process"] for view in exchange["witnesses"]}
        assert {side: (process["pod"], process["container"]) for side, process in views.items()} == {
            side: (pod.uid, pod.container) for side, pod in pods.items()
        }
        ends = {side: exchange[side] for side in pods}
        assert {side: (end["namespace"], end["workload"], end["pod"]) for side, end in ends.items()} == {
            side: (NAMESPACE, names[side], pod.name) for side, pod in pods.items()
        }
        assert (exchange["method"], exchange["status"]) == ("POST", 200)
        assert exchange["client"]["ip"] == pods["client"].ip
