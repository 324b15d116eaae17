"""The hosts and paths under which Ingresses and HTTPRoutes lead to workloads."""

from __future__ import annotations

import msgspec

from agent.kube.gateway_api import HttpRoute
from agent.kube.objects import EndpointSlice, Ingress
from server.cluster import routes as module
from server.cluster.gateways import Gateways
from server.cluster.routes import exposed, routes
from server.store.values import HostRoute
from tests.agent.kube.api import Object, endpoints, http_route, ingress
from tests.server.cluster.test_services import Pods

BEHIND = {"cart": "a", "orders": "b"}
SLICES = [msgspec.convert(endpoints(*one), EndpointSlice) for one in BEHIND.items()]
PODS = Pods(a="cart", b="orders")
OLDER, YOUNGER = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"


def found(ingresses: list[Object] | None = None, http_routes: list[Object] | None = None) -> list[HostRoute]:
    seen = exposed(
        [msgspec.convert(one, Ingress) for one in ingresses or ()],
        [msgspec.convert(one, HttpRoute) for one in http_routes or ()],
        Gateways(),
    )
    return [*routes(seen, SLICES, "east", PODS)]


def workloads(given: list[HostRoute]) -> list[str]:
    return [f"{one.host}{one.path} {one.workload}" for one in given]


def test_an_ingress_leads_each_path_of_a_host_to_the_workload_behind_its_service() -> None:
    assert found([ingress("web", "Shop.test", _="cart", _orders="orders", _gone="gone")]) == [
        HostRoute("shop.test", "/", "Ingress shop/web", "shop", "cart"),
        HostRoute("shop.test", "/orders", "Ingress shop/web", "shop", "orders"),
    ]


def test_a_rule_without_a_host_or_with_another_backend_than_a_service_names_nothing() -> None:
    bucket = ingress("bucket", "shop.test", _="cart")
    bucket["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"resource": {"kind": "Bucket", "name": "b"}}
    bare = {"metadata": {"name": "bare", "namespace": "shop"}, "spec": {"defaultBackend": {"service": {}}}}
    without_http = {"metadata": {"name": "no"}, "spec": {"rules": [{"host": "shop.test"}]}}
    assert found([ingress("any", "", _="cart"), bucket, bare, without_http]) == []


def test_an_http_route_leads_each_of_its_hosts_to_the_services_of_its_namespace_that_get_requests() -> None:
    backends: list[Object] = [
        {"name": "cart", "port": 80, "weight": 9},
        {"name": "orders", "weight": 0},
        {"name": "orders", "namespace": "other"},
        {"name": "orders", "group": "x.test", "kind": "Bucket"},
    ]
    route = http_route("m", "a.test", "b.test", backends=backends, path="/api")
    assert found([], [route]) == [
        HostRoute("a.test", "/api", "HTTPRoute shop/m", "shop", "cart"),
        HostRoute("b.test", "/api", "HTTPRoute shop/m", "shop", "cart"),
    ]


def test_a_rule_without_matches_is_for_all_paths_and_a_canary_leads_to_both() -> None:
    route = http_route("m", "a.test", backends=[{"name": "cart"}, {"name": "orders", "weight": 1}])
    del route["spec"]["rules"][0]["matches"]
    assert workloads(found([], [route])) == ["a.test/ cart", "a.test/ orders"]
    del route["spec"]["hostnames"]
    assert found([], [route]) == []


def test_the_oldest_of_two_for_one_host_and_path_counts() -> None:
    younger = ingress("a", "shop.test", YOUNGER, _="orders")
    older = ingress("b", "shop.test", OLDER, _="cart")
    assert workloads(found([younger, older])) == ["shop.test/ cart"]
    same = ingress("a", "shop.test", OLDER, _="orders")
    assert workloads(found([older, same])) == ["shop.test/ orders"], "the first by name of two of one age"


def test_the_number_of_routes_and_the_length_of_paths_are_bounded() -> None:
    long = http_route("m", "a.test", backends=[{"name": "cart"}], path="/" + "x" * module.MAX_PATH)
    assert found([], [long]) == []
    many = [ingress(f"i{n}", f"{n:05}.test", _="cart") for n in range(module.MAX_ROUTES + 5)]
    assert len(found(many)) == module.MAX_ROUTES
