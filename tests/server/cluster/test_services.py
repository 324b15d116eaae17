"""Services by their addresses, and the workload behind each."""

from __future__ import annotations

import msgspec
import pytest

from agent.kube.objects import EndpointSlice, Service
from agent.wire import Resident, Residents
from server.cluster.services import KnownService, known_services, residents
from tests.agent.kube.api import Object, endpoints, service

NOON = 1_795_435_200_000_000_000


class Pods:
    """Those of one cluster, by address."""

    def __init__(self, **workloads: str | None) -> None:
        self._workloads = workloads

    are_known = True

    def at(self, cluster: str | None, ip: str) -> Resident | None:
        if ip not in self._workloads or cluster != "east":
            return None
        return Resident((ip,), f"pod-{ip}", "shop", self._workloads[ip], "Deployment")

    def record(self, residents: Residents, now: int) -> None:
        raise NotImplementedError

    def expire(self, now: int) -> None:
        raise NotImplementedError


def known(services: list[Object], slices: list[Object]) -> tuple[KnownService, ...]:
    return known_services(
        [msgspec.convert(one, Service) for one in services],
        [msgspec.convert(one, EndpointSlice) for one in slices],
    )


def test_a_service_has_its_addresses_and_those_behind_it_from_all_its_slices() -> None:
    balanced = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.test"}]}}
    cart = service("cart", "10.96.0.5", "fd00::5", status=balanced)
    slices = [endpoints("cart", "b", "a"), endpoints("cart", "c", "a", part="2")]
    found = known(
        [cart, service("none", "None"), service("no", "")], [*slices, endpoints("cart", "d", space="x")]
    )
    assert found == (
        KnownService("shop", "cart", ("10.96.0.5", "192.0.2.7", "fd00::5"), ("a", "b", "c"), NOON),
    )


@pytest.mark.parametrize(
    ("pods", "workload"),
    [
        (Pods(a="cart", b="cart"), "cart"),
        (Pods(a="cart", b="other"), None),
        (Pods(a="cart"), None),  # nobody knows what is at the other address
        (Pods(), None),
        (Pods(a=None, b=None), None),
    ],
)
def test_the_workload_is_that_of_all_pods_behind_it(pods: Pods, workload: str | None) -> None:
    found = known([service("cart", "10.96.0.5")], [endpoints("cart", "a", "b")])
    (one,) = residents(found, "east", pods)
    assert (one.service, one.namespace, one.pod, one.workload) == ("cart", "shop", None, workload)
    (elsewhere,) = residents(found, "west", pods)
    assert elsewhere.workload is None
