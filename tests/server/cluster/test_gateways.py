"""Hosts of a Gateway's listeners, and backends in other namespaces."""

from __future__ import annotations

import msgspec
import pytest

from agent.kube.gateway_api import BackendRef, Gateway, HttpRoute, ReferenceGrant
from server.cluster.gateways import Gateways
from tests.agent.kube.api import Object, attached, gateway, grant, http_route, listener

ROUTE = http_route("m", backends=[{"name": "cart"}])
EDGE: Object = {"name": "edge", "namespace": "gateways"}
SERVICE: Object = {"group": "", "kind": "Service"}


def hosts(route: Object, *gateways: Object) -> list[str]:
    known = Gateways(msgspec.convert(one, Gateway) for one in gateways)
    return [*known.hosts(msgspec.convert(route, HttpRoute))]


def test_a_route_without_hosts_has_those_of_the_listeners_that_take_its_namespace() -> None:
    edge = gateway(
        "edge",
        listener("all", "a.test", "All"),
        listener("some", "b.test", "Selector"),
        listener("own", "c.test"),
        space="gateways",
    )
    assert hosts(attached(ROUTE, EDGE), edge) == ["a.test", "b.test"]
    assert hosts(attached(ROUTE, {"name": "edge"}), gateway("edge", listener("own", "c.test"))) == ["c.test"]
    assert hosts(attached(ROUTE, EDGE)) == []


@pytest.mark.parametrize(
    ("named", "found"), [({"sectionName": "two"}, ["b.test"]), ({"port": 80}, ["a.test"])]
)
def test_a_route_has_the_hosts_of_the_listeners_that_it_names(named: Object, found: list[str]) -> None:
    edge = gateway("edge", listener("one", "a.test", port=80), listener("two", "b.test", port=443))
    assert hosts(attached(ROUTE, {"name": "edge", **named}), edge) == found


def test_a_route_that_was_not_accepted_has_no_host_of_the_gateway_nor_of_other_parents() -> None:
    edge = gateway("edge", listener("all", "a.test", "All"), space="gateways")
    assert hosts(attached(ROUTE, EDGE, accepted=False), edge) == []
    assert hosts(attached(ROUTE, {**EDGE, "kind": "Service", "group": ""}), edge) == []
    undecided = attached(ROUTE, EDGE)
    del undecided["status"]
    assert hosts(undecided, edge) == []


def test_a_route_with_hosts_of_its_own_has_these() -> None:
    own = {**attached(ROUTE, EDGE), "spec": {**ROUTE["spec"], "hostnames": ["own.test"]}}
    assert hosts(own, gateway("edge", listener("all", "a.test", "All"), space="gateways")) == ["own.test"]


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (grant("stock", "shop", SERVICE), True),
        (grant("stock", "shop", {**SERVICE, "name": "goods"}), True),
        (grant("stock", "shop", {**SERVICE, "name": "other"}), False),
        (grant("stock", "shop", {"group": "", "kind": "Secret"}), False),
        (grant("stock", "other", SERVICE), False),
        (grant("other", "shop", SERVICE), False),
        (grant("stock", "shop", SERVICE, kind="GRPCRoute"), False),
    ],
)
def test_a_service_of_another_namespace_is_a_backend_if_a_grant_there_allows_it(
    granted: Object, allowed: bool
) -> None:
    known = Gateways((), [msgspec.convert(granted, ReferenceGrant)])
    backend = BackendRef("goods", namespace="stock")
    assert known.backend(backend, "shop") == (("stock", "goods") if allowed else None)
    assert Gateways().backend(backend, "shop") is None
    assert Gateways().backend(backend, "stock") == ("stock", "goods")
