"""Through a Service too both ends have names."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Resident, Residents
from server.cluster import service_names
from server.cluster.settings import ClusterSettings
from tests.agent.kube.api import SERVICES, SLICES, Api, access_to, endpoints, service
from tests.agent.kube.api import serving as api_serving
from tests.server.records import NOON, both, record
from tests.server.running import Client, serving, wait_for

VIRTUAL, REAL = Endpoint("10.96.0.5", 80), Endpoint("10.1.0.5", 8080)
CART = Resident(("10.1.0.5",), "cart-1", "shop", "cart", "Deployment", {}, NOON - 1)


def knows(client: Client, ip: str) -> Resident | None:
    return client.core.store.write(lambda unit: unit.pods.at("east", ip)).result(60)


def test_a_call_to_a_service_is_of_the_workload_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_names, "REPEAT_S", 0.0)
    monkeypatch.setattr(service_names, "TICK_S", 0.05)
    api = Api()
    api.put(SERVICES, service("cart", "10.96.0.5"))
    api.put(SERVICES, service("kubernetes", "10.96.0.1", space="default"))
    api.put(SLICES, endpoints("cart", "10.1.0.5"))
    (tmp_path / "account").mkdir()
    with api_serving(api) as url:
        settings = ClusterSettings(access_to(url, tmp_path / "account"), "east")
        with serving(tmp_path / "data", cluster=settings) as client:
            client.report_pods(Residents("east", "node-1", (CART,)))
            wait_for(lambda: (one := knows(client, "10.96.0.5")) and one.workload == "cart", "the Service")
            through = replace(record(0, "client", server=VIRTUAL), cluster="east")
            control = replace(record(100, "client", server=Endpoint("10.96.0.1", 443)), cluster="east")
            client.send(through, control)
            assert {one["name"] for one in client.items("/apis")} == {"shop/cart", "default/kubernetes:443"}
            (one,) = client.items("/exchanges", workload="cart")
            server = one["server"]
            assert (server["service"], server["pod"], server["workload_kind"]) == ("cart", None, "Deployment")
            api.remove(SERVICES, "cart")
            wait_for(lambda: knows(client, "10.96.0.5") is None, "the Service's end")


def test_two_views_of_a_call_through_a_service_are_one_exchange_of_the_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_names, "TICK_S", 0.05)
    api = Api()
    api.put(SERVICES, service("cart", "10.96.0.5"))
    (tmp_path / "account").mkdir()
    with api_serving(api) as url:
        settings = ClusterSettings(access_to(url, tmp_path / "account"), "east")
        with serving(tmp_path / "data", cluster=settings) as client:
            client.report_pods(Residents("east", "node-1", (CART,)))
            wait_for(lambda: knows(client, "10.96.0.5"), "the Service")
            caller = Endpoint("10.2.0.9", 40000)
            ours, theirs = both(0, client=caller)
            client.send(
                replace(ours, server=VIRTUAL, cluster="east"), replace(theirs, server=REAL, cluster="east")
            )
            (found,) = client.items("/apis")
            assert (found["name"], found["exchanges"]) == ("shop/cart", 1)
            (one,) = client.items("/exchanges")
            assert len(one["witnesses"]) == 2
            assert (one["server"]["pod"], one["server"]["service"]) == ("cart-1", None)
