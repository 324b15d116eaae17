"""Both ends of a call have names, also where only one of them was captured."""

from __future__ import annotations

from msgspec.structs import replace

from agent.wire import Endpoint, Resident, Residents
from tests.server.records import NOON, both, record
from tests.server.running import Client

CART = Resident(("10.1.0.5",), "cart-1", "shop", "cart", "Deployment", {"helm.sh/chart": "shop-1"}, NOON - 1)
TILL = Resident(("10.2.0.9",), "till-1", "front", "till", "Deployment")
SERVER, CALLER = Endpoint("10.1.0.5", 8080), Endpoint("10.2.0.9", 40000)


def report(client: Client, *pods: Resident, node: str = "n1", cluster: str | None = None) -> None:
    client.report_pods(Residents(cluster, node, pods))


def test_a_client_alone_names_the_workload_that_it_called(client: Client) -> None:
    report(client, CART)
    client.send(record(0, "client", server=SERVER))
    (api,) = client.items("/apis")
    assert (api["kind"], api["name"]) == ("workload", "shop/cart")
    (one,) = client.items("/exchanges", pod="cart-1")
    assert (one["server"]["workload_kind"], one["server"]["labels"]) == (
        "Deployment",
        {"helm.sh/chart": "shop-1"},
    )


def test_a_server_alone_names_the_workload_that_called(client: Client) -> None:
    report(client, TILL)
    client.send(record(0, client=CALLER, server=SERVER))
    (one,) = client.items("/exchanges", workload="till")
    assert (one["consumer"]["kind"], one["consumer"]["name"]) == ("workload", "front/till")


def test_the_other_view_finds_its_call_all_the_same(client: Client) -> None:
    report(client, CART, TILL)
    views = both(0, client=CALLER, server=SERVER)
    client.deliver(views[0])
    client.deliver(views[1])
    client.settle()
    (one,) = client.items("/exchanges")
    assert len(one["witnesses"]) == 2
    assert (one["server"]["pod"], one["client"]["pod"]) == ("cart-1", "till-1")


def test_an_agents_own_word_stays_and_a_pod_of_another_cluster_is_not_meant(client: Client) -> None:
    report(client, CART)
    client.send(record(0, "client", server=replace(SERVER, pod="told", namespace="n", workload="w")))
    client.send(replace(record(1, "client", server=SERVER), cluster="west"))
    told, other = sorted(client.items("/exchanges"), key=lambda one: one["time"])
    assert (told["server"]["pod"], other["server"]["pod"]) == ("told", None)


def test_a_pod_that_is_younger_than_the_call_is_not_meant(client: Client) -> None:
    report(client, replace(CART, since=NOON + 10**9))
    client.send(record(0, "client", server=SERVER), record(200, "client", server=SERVER))
    old, new = sorted(client.items("/exchanges"), key=lambda one: one["time"])
    assert (old["server"]["pod"], new["server"]["pod"]) == (None, "cart-1")


def test_what_was_named_stays_named_when_the_address_is_anothers(client: Client) -> None:
    report(client, CART)
    client.send(record(0, "client", server=SERVER))
    report(client, replace(CART, pod="next", workload="next"))
    (one,) = client.items("/exchanges")
    assert one["server"]["pod"] == "cart-1"
