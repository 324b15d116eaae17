from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.wire import Consumer, Endpoint, Process
from server.analysis.inventory import ApiKind, ConsumerKind, caller, identify, is_internal, key_of
from tests.server.records import CURL, NGINX, record

POD = Endpoint("10.1.0.5", 8080, 77, pod="shop-abc", namespace="store", workload="shop")
PUBLIC = Endpoint("93.184.215.14", 443)


def test_a_server_is_known_by_its_workload_first() -> None:
    one = identify(record(server=POD))
    assert (one.kind, one.name, one.internal) == (ApiKind.WORKLOAD, "store/shop", True)
    assert key_of(record(server=replace(POD, ip="10.1.0.9", pod="shop-def"))) == one.key
    assert key_of(record(side="client", server=POD)) == one.key
    assert one.node is None, "its pods are on several"


def test_a_process_is_known_by_executable_port_and_network_namespace_and_never_by_pid() -> None:
    key = key_of(record())
    assert key_of(record(process=replace(NGINX, pid=999, start_ticks=1))) == key
    assert key_of(record(server=Endpoint("10.0.0.1", 8080, 4026531840))) == key
    assert key_of(record(server=Endpoint("127.0.0.1", 8080, 2))) != key
    assert key_of(record(server=Endpoint("127.0.0.1", 8081, 4026531840))) != key
    assert key_of(record(process=replace(NGINX, executable="/usr/bin/caddy"))) != key
    assert key_of(record(node="node-2")) != key


def test_a_server_that_only_clients_saw_is_known_by_its_address() -> None:
    local = identify(record(side="client"))
    assert (local.kind, local.name, local.internal) == (ApiKind.ADDRESS, "127.0.0.1:8080", True)
    private = identify(record(side="client", server=Endpoint("10.0.0.7", 80)))
    assert (private.kind, private.name) == (ApiKind.ADDRESS, "10.0.0.7:80")
    assert key_of(record(side="client", server=Endpoint("10.0.0.7", 80), host=b"other")) == private.key


def test_an_external_server_is_known_by_its_name_since_its_addresses_change() -> None:
    one = identify(record(side="client", host=b"API.example.com", server=PUBLIC))
    assert (one.kind, one.name, one.internal) == (ApiKind.HOST, "api.example.com:443", False)
    moved = record(side="client", host=b"api.example.com", server=replace(PUBLIC, ip="93.184.215.15"))
    assert key_of(moved) == one.key
    bare = identify(record(side="client", host=b"93.184.215.14", server=PUBLIC))
    assert (bare.kind, bare.name, bare.internal) == (ApiKind.ADDRESS, "93.184.215.14:443", False)


@pytest.mark.parametrize(
    ("host", "name", "internal"),
    [
        (b"shop", "shop", True),
        (b"shop.store.svc", "shop.store.svc", True),
        (b"api.example.com", "api.example.com", False),
        (b"[::1]:80", "[::1]:80", True),
        (b"\xff", "\\xff", True),
        (None, "unknown", True),
    ],
)
def test_where_the_peer_is_unknown_the_host_is_what_remains(
    host: bytes | None, name: str, internal: bool
) -> None:
    one = identify(record(side="client", server=None, host=host))
    assert (one.name, one.internal) == (name, internal)


def test_the_host_that_a_tunnel_leads_to_is_not_that_of_the_proxy() -> None:
    asked = record(side="client", method="CONNECT", host=b"shop.example:443", server=PUBLIC)
    assert identify(asked).name == "93.184.215.14:443"


def test_addresses_that_no_one_outside_can_reach_are_internal() -> None:
    inside = ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fe80::1", "fd00::1", "169.254.1.1"]
    assert all(map(is_internal, inside))
    assert not any(map(is_internal, ["8.8.8.8", "2606:4700::1111", "not an address"]))


def test_a_caller_is_named_by_the_best_that_any_view_knows_in_any_order() -> None:
    server, client = record(), record(side="client")
    assert caller([server]) == (ConsumerKind.USER_AGENT, "curl/8.0")
    assert caller([server, client]) == caller([client, server]) == (ConsumerKind.PROCESS, "curl")
    assert caller([replace(client, process=replace(CURL, unit="backup.service"))])[1] == "backup.service"
    pod = replace(server, client=POD)
    assert caller([client, pod]) == caller([pod, client]) == (ConsumerKind.WORKLOAD, "store/shop")
    certified = replace(server, consumer=Consumer(client_name="CN=ann"))
    assert caller([certified, client]) == (ConsumerKind.CERTIFICATE, "CN=ann")
    nameless = replace(server, consumer=Consumer())
    assert caller([nameless]) == (ConsumerKind.IP, "127.0.0.1")
    assert caller([replace(nameless, client=None)]) == (ConsumerKind.UNKNOWN, "unknown")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("registry.example:5000/shop/checkout:1.2@sha256:" + "a" * 64, "registry.example:5000/shop/checkout"),
        ("docker.io/library/node:22", "docker.io/library/node"),
        ("node:22", "node"),
        ("node", "node"),
        ("sha256:" + "a" * 64, "python3"),  # a digest says nothing to anyone
        ("", "python3"),
        (None, "python3"),
    ],
)
def test_a_process_in_a_container_goes_by_its_image_whatever_the_release(
    image: str | None, name: str
) -> None:
    process = Process(7, "python3", "boot-1", 5, "/usr/bin/python3", container="c" * 64, image=image)
    assert caller([record(side="client", process=process)]) == (ConsumerKind.PROCESS, name)
    assert identify(record(process=process)).name == f"{name}:8080"
    assert caller([record(side="client", process=replace(process, unit="web.service"))])[1] == "web.service"


def test_a_process_without_executable_is_known_by_its_name() -> None:
    one = identify(record(process=Process(1, "kworker", "boot-1")))
    assert (one.kind, one.name) == (ApiKind.PROCESS, "kworker:8080")
