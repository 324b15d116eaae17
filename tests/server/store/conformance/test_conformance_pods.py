"""Pods by address, as agents report them."""

from __future__ import annotations

from agent.wire import Resident, Residents
from tests.server.records import NOON
from tests.server.store.conformance.opened import HOUR_NS, OpenStore

CART = Resident(("10.1.0.5", "fd00::5"), "cart-1", "shop", "cart", "Deployment", {"a": "b"}, NOON)
DB = Resident(("10.1.0.6",), "db-0", "shop", "db", "StatefulSet")


def report(
    opened: OpenStore, *found: Resident, node: str = "n1", now: int = NOON, at: str | None = "east"
) -> None:
    opened.do(lambda unit: unit.pods.record(Residents(at, node, found), now))


def known(opened: OpenStore, ip: str, cluster: str | None = "east") -> str | None:
    found = opened.do(lambda unit: unit.pods.at(cluster, ip))
    return None if found is None else found.pod


def test_a_pod_is_known_by_each_of_its_addresses_in_its_cluster_also_after_a_restart(
    opened: OpenStore,
) -> None:
    assert not opened.do(lambda unit: unit.pods.are_known)
    report(opened, CART, DB)
    opened.again()
    assert opened.do(lambda unit: unit.pods.are_known)
    assert opened.do(lambda unit: unit.pods.at("east", "fd00::5")) == CART
    assert [known(opened, ip) for ip in ("10.1.0.5", "10.1.0.6", "10.1.0.7")] == ["cart-1", "db-0", None]
    assert known(opened, "10.1.0.5", None) is known(opened, "10.1.0.5", "west") is None
    report(opened, DB, at=None)
    assert known(opened, "10.1.0.6", None) == "db-0"


def test_a_report_replaces_what_its_node_had_and_nothing_of_others(opened: OpenStore) -> None:
    report(opened, CART)
    report(opened, DB, node="n2")
    report(opened, node="n1")
    assert (known(opened, "10.1.0.5"), known(opened, "10.1.0.6")) == (None, "db-0")
    opened.again()
    assert (known(opened, "10.1.0.5"), known(opened, "10.1.0.6")) == (None, "db-0")


def test_an_address_belongs_to_the_node_that_reported_it_last(opened: OpenStore) -> None:
    report(opened, CART)
    report(opened, CART, DB, node="n2")
    report(opened, node="n1")
    assert known(opened, "10.1.0.5") == "cart-1"
    report(opened, node="n2")
    assert known(opened, "10.1.0.5") is None


def test_a_service_does_not_get_a_pods_address_and_a_pod_gets_a_services(opened: OpenStore) -> None:
    service = Resident(("10.1.0.5", "9.9.9.9"), None, "shop", "mine", "Deployment", service="mine")
    report(opened, CART)
    report(opened, service, node="(services)")
    assert (known(opened, "10.1.0.5"), known(opened, "9.9.9.9")) == ("cart-1", None)
    assert opened.do(lambda unit: unit.pods.at("east", "9.9.9.9")) == service
    report(opened, node="n1")
    report(opened, service, node="(services)")
    assert opened.do(lambda unit: unit.pods.at("east", "10.1.0.5")) == service
    report(opened, CART)
    assert known(opened, "10.1.0.5") == "cart-1"


def test_what_was_undone_is_not_known(opened: OpenStore) -> None:
    report(opened, CART)
    opened.undo(lambda unit: unit.pods.record(Residents("east", "n1", (DB,)), NOON))
    assert (known(opened, "10.1.0.5"), known(opened, "10.1.0.6")) == ("cart-1", None)


def test_the_pods_of_a_node_that_is_silent_for_hours_are_forgotten(opened: OpenStore) -> None:
    report(opened, CART)
    report(opened, DB, node="n2", now=NOON + 3 * HOUR_NS)
    opened.do(lambda unit: unit.pods.expire(NOON + 3 * HOUR_NS))
    assert (known(opened, "10.1.0.5"), known(opened, "10.1.0.6")) == (None, "db-0")
    opened.again()
    assert (known(opened, "10.1.0.5"), known(opened, "10.1.0.6")) == (None, "db-0")


def test_a_report_that_is_repeated_keeps_its_pods(opened: OpenStore) -> None:
    report(opened, CART)
    report(opened, CART, now=NOON + 3 * HOUR_NS)
    opened.do(lambda unit: unit.pods.expire(NOON + 3 * HOUR_NS))
    assert known(opened, "10.1.0.5") == "cart-1"
