"""The hosts and paths under which workloads are reached."""

from __future__ import annotations

import pytest

from server.store.values import HostRoute, RoutedWorkload
from tests.server.records import NOON
from tests.server.store.conformance.opened import HOUR_NS, OpenStore

FRONT = HostRoute("shop.test", "/", "Ingress shop/web", "shop", "front")
CART = HostRoute("shop.test", "/cart/", "Ingress shop/web", "shop", "cart")
ORDERS = HostRoute("shop.test", "/cart/orders", "HTTPRoute shop/orders", "shop", "orders")


def record(opened: OpenStore, *routes: HostRoute, cluster: str | None = "east", now: int = NOON) -> None:
    opened.do(lambda unit: unit.routes.record(cluster, routes, now))


def leading(opened: OpenStore, path: str, host: str = "shop.test", cluster: str | None = None) -> str | None:
    found = opened.do(lambda unit: unit.routes.leading(host, path, cluster))
    return None if found is None else found.workload


@pytest.mark.parametrize(
    ("path", "workload"),
    [
        ("/", "front"),
        ("", "front"),
        ("/cart", "cart"),
        ("/cart/", "cart"),
        ("/cart/1", "cart"),
        ("/carts", "front"),
        ("/cart/orders/7", "orders"),
    ],
)
def test_the_longest_path_above_decides(opened: OpenStore, path: str, workload: str) -> None:
    record(opened, FRONT, CART, ORDERS)
    opened.again()
    assert leading(opened, path) == workload
    assert leading(opened, path, "other.test") is None


def test_several_workloads_under_one_path_are_none(opened: OpenStore) -> None:
    record(opened, FRONT, FRONT._replace(workload="canary"))
    assert leading(opened, "/") is None


def test_a_route_is_of_its_cluster(opened: OpenStore) -> None:
    record(opened, FRONT)
    record(opened, FRONT._replace(workload="other"), cluster=None)
    assert leading(opened, "/") is None, "it is of two clusters"
    assert leading(opened, "/", cluster="east") == "front"
    assert leading(opened, "/", cluster="west") is None
    record(opened)
    found = opened.do(lambda unit: unit.routes.leading("shop.test", "/", None))
    assert found == RoutedWorkload(None, "shop", "other")


def test_a_report_replaces_what_the_cluster_had(opened: OpenStore) -> None:
    record(opened, FRONT, CART)
    record(opened, CART)
    assert (leading(opened, "/"), leading(opened, "/cart")) == (None, "cart")


def test_routes_of_a_cluster_that_is_not_reported_any_more_end(opened: OpenStore) -> None:
    record(opened, FRONT)
    record(opened, FRONT, now=NOON + 2 * HOUR_NS)
    opened.do(lambda unit: unit.routes.expire(NOON + 4 * HOUR_NS))
    assert leading(opened, "/") == "front"
    opened.do(lambda unit: unit.routes.expire(NOON + 5 * HOUR_NS))
    assert leading(opened, "/") is None
