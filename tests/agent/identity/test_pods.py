"""Pods name the ends of connections: the own one by process, a peer by address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.events import Address, PodContainer, PodSeen, PodsWatched, ProcessSeen, Role
from agent.identity import pods
from agent.identity.directory import Directory
from agent.identity.pods import Pods, Standing
from agent.wire import Endpoint

UID, OTHER = "12345678-1234-1234-1234-123456789abc", "98765432-1234-1234-1234-123456789abc"
CONTAINER = "c" * 64
POD = PodSeen(
    time_ns=1,
    uid=UID,
    name="cart-1",
    namespace="shop",
    node="node-1",
    workload="cart",
    workload_kind="Deployment",
    labels=(("app.kubernetes.io/name", "cart"),),
    ips=("10.1.0.5",),
    containers=(PodContainer(CONTAINER, "web", "cart:1.2", "sha256:d"),),
    captured=True,
)
LOCAL, PEER = Address("10.1.0.5", 8080, 7), Address("10.1.0.6", 50000, 7)


def process(pid: int = 42, uid: str = UID, container: str = CONTAINER) -> ProcessSeen:
    return ProcessSeen(1, pid, 1, "cartd", "/cartd", f"/kubepods/pod{uid}/{container}")


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    directory.watch_pods(PodsWatched(0, unknown=True, others=True))
    directory.add(process())
    return directory


def test_the_own_end_has_its_pod_and_container_and_a_peer_its_pod(directory: Directory) -> None:
    directory.add_pod(POD)
    directory.add_pod(replace(POD, uid=OTHER, name="db-0", workload="db", ips=("10.1.0.6",)))
    assert directory.endpoint(LOCAL, directory.process(42)) == Endpoint(
        ip="10.1.0.5",
        port=8080,
        netns=7,
        pod="cart-1",
        namespace="shop",
        workload="cart",
        labels={"app.kubernetes.io/name": "cart"},
        workload_kind="Deployment",
        node="node-1",
        container="web",
        image="cart:1.2",
        digest="sha256:d",
    )
    peer = directory.peer(PEER)
    assert peer is not None
    assert (peer.pod, peer.workload, peer.netns, peer.container) == ("db-0", "db", None, None)


def test_what_is_learnt_later_names_the_same_end_from_then_on(directory: Directory) -> None:
    ours = directory.process(42)
    assert directory.endpoint(LOCAL, ours) == Endpoint("10.1.0.5", 8080, 7)
    directory.add_pod(replace(POD, containers=()))
    end = directory.endpoint(LOCAL, ours)
    assert end is not None
    assert (end.pod, end.container) == ("cart-1", None)
    directory.add_pod(POD)
    end = directory.endpoint(LOCAL, ours)
    assert end is not None
    assert end.container == "web"


def test_a_process_of_the_host_is_in_no_pod_even_at_a_pods_address(directory: Directory) -> None:
    directory.add_pod(POD)
    directory.add(ProcessSeen(1, 43, 1, "kubelet", "/kubelet", "/system.slice/kubelet.service"))
    assert directory.endpoint(LOCAL, directory.process(43)) == Endpoint("10.1.0.5", 8080, 7)
    by_address = directory.endpoint(LOCAL, None)  # as of captured packets
    assert by_address is not None
    assert by_address.pod == "cart-1"


def test_a_pod_that_is_gone_keeps_its_name_for_its_last_bytes_and_loses_its_address(
    directory: Directory,
) -> None:
    directory.add_pod(POD)
    directory.end_pod(UID)
    end = directory.endpoint(LOCAL, directory.process(42))
    assert end is not None
    assert end.pod == "cart-1"
    assert directory.peer(LOCAL) == Endpoint("10.1.0.5", 8080)


def test_an_address_belongs_to_who_had_it_last(directory: Directory) -> None:
    directory.add_pod(POD)
    directory.add_pod(replace(POD, uid=OTHER, name="next"))
    directory.end_pod(UID)
    peer = directory.peer(LOCAL)
    assert peer is not None
    assert peer.pod == "next"
    directory.add_pod(replace(POD, uid=OTHER, name="next", ips=()))
    assert directory.peer(LOCAL) == Endpoint("10.1.0.5", 8080)


def test_pods_are_bounded_and_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "MAX_PODS", 2)
    known = Pods()
    for number in range(3):
        known.add(replace(POD, uid=str(number), ips=(f"10.1.0.{number}",)))
    assert [known.get(str(number)) is not None for number in range(3)] == [False, True, True]
    assert [known.at(f"10.1.0.{number}") is not None for number in range(3)] == [False, True, True]


@pytest.mark.parametrize("others", [True, False])
def test_standing_is_by_process_else_by_address(others: bool) -> None:
    directory = Directory()
    directory.add(process())
    directory.add(ProcessSeen(1, 43, 1, "sshd", "/sshd", "/system.slice/ssh.service"))
    ours, hosts = directory.process(42), directory.process(43)
    assert directory.standing(ours, LOCAL, PEER) is Standing.CAPTURED  # pods are not reported
    directory.watch_pods(PodsWatched(0, unknown=others, others=others))
    of_others = Standing.CAPTURED if others else Standing.OPTED_OUT
    assert directory.standing(ours, LOCAL, PEER) is Standing.UNKNOWN
    assert directory.standing(hosts, LOCAL, PEER) is of_others
    assert directory.standing(None, LOCAL, PEER) is of_others
    directory.add_pod(POD)
    assert directory.standing(ours, LOCAL, PEER) is Standing.CAPTURED
    assert directory.standing(None, LOCAL, PEER) is Standing.CAPTURED
    directory.add_pod(replace(POD, captured=False))
    assert directory.standing(ours, LOCAL, PEER) is Standing.OPTED_OUT
    assert directory.standing(None, PEER, LOCAL) is Standing.OPTED_OUT


@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
def test_calls_are_grouped_by_the_headers_of_both_ends_the_servers_first(
    directory: Directory, role: Role
) -> None:
    ours, ends = directory.process(42), (directory.endpoint(LOCAL, None), directory.peer(PEER))
    directory.add_pod(POD)
    assert directory.aggregation_headers(role, ours, *ends) == ()
    directory.add_pod(replace(POD, aggregation_header="x-own"))
    assert directory.aggregation_headers(role, ours, *ends) == ("x-own",)
    assert directory.aggregation_headers(role, None, *ends) == ("x-own",)  # as in captured packets
    directory.add_pod(replace(POD, uid=OTHER, ips=("10.1.0.6",), aggregation_header="x-peer"))
    both = ("x-own", "x-peer") if role is Role.SERVER else ("x-peer", "x-own")
    assert directory.aggregation_headers(role, ours, *ends) == both
    directory.add(ProcessSeen(1, 43, 1, "kubelet", "/kubelet", "/system.slice/kubelet.service"))
    assert directory.aggregation_headers(role, directory.process(43), *ends) == ("x-peer",)
