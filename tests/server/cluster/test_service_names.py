"""Through a Service too both ends have names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Resident, Residents
from server.analysis.specs.load import load
from server.cluster import service_names
from server.cluster.settings import ClusterSettings
from tests.agent.kube.api import (
    GATEWAYS,
    GRANTS,
    HTTP_ROUTES,
    INGRESSES,
    SERVICES,
    SLICES,
    Api,
    access_to,
    attached,
    endpoints,
    gateway,
    grant,
    http_route,
    ingress,
    listener,
    service,
)
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


@contextmanager
def watching(api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A server that watches this API."""
    monkeypatch.setattr(service_names, "REPEAT_S", 0.0)
    monkeypatch.setattr(service_names, "TICK_S", 0.05)
    (folder / "account").mkdir()
    with api_serving(api) as url:
        settings = ClusterSettings(access_to(url, folder / "account"), "east")
        with serving(folder / "data", load, cluster=settings) as client:
            yield client


def routes_of(client: Client, workload: str) -> list[tuple[str, str, str]]:
    (found,) = client.items("/apis", workload=workload)
    return [(one["host"], one["path"], one["source"]) for one in found["routes"]]


ORDERS = Resident(("10.1.0.6",), "orders-1", "shop", "orders", "Deployment", {}, NOON - 1)


def a_shop(api: Api) -> None:
    """Two workloads under one host."""
    for name, own, behind in (("cart", "10.96.0.5", "10.1.0.5"), ("orders", "10.96.0.6", "10.1.0.6")):
        api.put(SERVICES, service(name, own))
        api.put(SLICES, endpoints(name, behind))
    api.put(INGRESSES, ingress("web", "shop.test", _cart="cart", _orders="orders"))


def test_a_workload_is_also_named_by_the_hosts_that_lead_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    a_shop(api)
    api.put(HTTP_ROUTES, http_route("m", "m.shop.test", backends=[{"name": "cart"}]))
    with watching(api, tmp_path, monkeypatch) as client:
        client.report_pods(Residents("east", "node-1", (CART, ORDERS)))
        client.send(replace(record(0, server=REAL), cluster="east"))
        expected = [
            ("m.shop.test", "/", "HTTPRoute shop/m"),
            ("shop.test", "/cart", "Ingress shop/web"),
        ]
        wait_for(lambda: routes_of(client, "cart") == expected, "the hosts")
        id = client.items("/apis", workload="cart")[0]["id"]
        assert "shop.test/cart" in client.http.get(f"/apis/{id}").text
        api.remove(INGRESSES, "web")
        wait_for(lambda: routes_of(client, "cart") == expected[:1], "the Ingress' end")


def test_a_workload_is_named_by_the_hosts_of_a_gateway_and_by_a_route_of_another_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    a_shop(api)
    api.remove(INGRESSES, "web")
    route = attached(http_route("m", backends=[{"name": "cart", "namespace": "shop"}]), {"name": "edge"})
    route["metadata"]["namespace"] = "edge"
    api.put(HTTP_ROUTES, route)
    api.put(GATEWAYS, gateway("edge", listener("web", "shop.test"), space="edge"))
    with watching(api, tmp_path, monkeypatch) as client:
        client.report_pods(Residents("east", "node-1", (CART, ORDERS)))
        client.send(replace(record(0, server=REAL), cluster="east"))
        wait_for(lambda: knows(client, "10.96.0.5"), "the Service")
        assert routes_of(client, "cart") == []
        api.put(GRANTS, grant("shop", "edge", {"group": "", "kind": "Service"}))
        expected = [("shop.test", "/", "HTTPRoute edge/m")]
        wait_for(lambda: routes_of(client, "cart") == expected, "the grant's effect")
        api.remove(GATEWAYS, "edge")
        wait_for(lambda: routes_of(client, "cart") == [], "the Gateway's end")


def test_specifications_of_one_host_are_those_of_the_workloads_behind_their_base_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    a_shop(api)
    with watching(api, tmp_path, monkeypatch) as client:
        client.report_pods(Residents("east", "node-1", (CART, ORDERS)))
        client.send(replace(record(0, path="/cart/1", server=REAL), cluster="east"))
        wait_for(lambda: routes_of(client, "cart"), "the hosts")
        for name in ("cart", "orders"):
            document = {
                "openapi": "3.1.0",
                "info": {"title": name, "version": "1"},
                "servers": [{"url": f"https://shop.test/{name}"}],
                "paths": {"/{id}": {"get": {"responses": {"200": {"description": "ok"}}}}},
            }
            answer = client.http.post("/api/v1/specs", json=document)
            assert answer.status_code == 201, answer.text
        client.send(replace(record(1, path="/orders/1", server=Endpoint("10.1.0.6", 8080)), cluster="east"))
        found = {one["name"]: one for one in client.items("/apis")}
        assert {name: [spec["title"] for spec in one["specs"]] for name, one in found.items()} == {
            "shop/cart": ["cart"],
            "shop/orders": ["orders"],
        }
        assert found["shop/orders"]["kind"] == "declared" or found["shop/orders"]["exchanges"] == 1
        wait_for(lambda: client.items("/apis", workload="orders")[0]["verdicts"], "a verdict")


@pytest.mark.parametrize("refused", [INGRESSES, HTTP_ROUTES])
def test_services_are_named_where_hosts_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    api = Api()
    a_shop(api)
    api.put(HTTP_ROUTES, http_route("m", "m.shop.test", backends=[{"name": "cart"}]))
    api.forbidden.add(refused)
    with watching(api, tmp_path, monkeypatch) as client:
        client.report_pods(Residents("east", "node-1", (CART, ORDERS)))
        client.send(replace(record(0, server=REAL), cluster="east"))
        wait_for(lambda: len(routes_of(client, "cart")) == 1, "the other hosts")
        assert knows(client, "10.96.0.5")
