"""Calls between pods, through a Service, as the server's API shows them."""

from __future__ import annotations

import pytest

from tests.cluster.installed import Installed
from tests.cluster.workloads import Shop

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_call_through_a_service_is_one_exchange_with_a_pod_at_each_end(
    spectap: Installed, shop: Shop, scheme: str
) -> None:
    ids = shop.call(scheme, scheme)
    for exchange in spectap.wait_for(ids).values():
        views = {view["side"]: view["process"] for view in exchange["witnesses"]}
        assert {side: (process["pod"], process["container"]) for side, process in views.items()} == {
            "client": (shop.client.uid, shop.client.container),
            "server": (shop.server.uid, shop.server.container),
        }
        ends = {side: exchange[side] for side in ("client", "server")}
        assert {side: (end["namespace"], end["workload"], end["pod"]) for side, end in ends.items()} == {
            "client": ("shop", "cart", shop.client.name),
            "server": ("shop", "orders", shop.server.name),
        }
        assert (exchange["method"], exchange["status"], exchange["client"]["ip"]) == (
            "POST",
            200,
            shop.client.ip,
        )
