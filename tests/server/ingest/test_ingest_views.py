"""Two views of a call are one exchange of one API, in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint
from server.ingest.holding import SettledBy
from server.ingest.outcomes import Left, Received
from server.store.sqlite.writing.positions import SqlitePositions
from tests.server.records import NETNS, batch, both, record
from tests.server.running import Client, serving


def totals(client: Client) -> dict[str, int]:
    """Calls by operation, over all APIs; equal to what the calls table and the histograms hold."""
    found = {key: operation["count"] for key, operation in client.operations().items()}
    for key, operation in client.operations().items():
        assert sum(operation["statuses"].values()) == found[key]
        assert sum(caller["count"] for caller in operation["callers"]) == found[key]
    return found


@pytest.mark.parametrize("first", ["client", "server"])
def test_views_in_different_batches_are_one_exchange_of_the_servers_api(client: Client, first: str) -> None:
    views = sorted(both(0), key=lambda one: one.side != first)
    client.send(views[0])
    (before,) = client.items("/apis")
    client.send(views[1])
    (api,) = client.items("/apis")
    assert (api["kind"], api["name"], api["exchanges"]) == ("process", "nginx:8080", 1)
    assert client.get(f"/apis/{before['id']}") == api  # a public id always leads to its API
    (exchange,) = client.items("/exchanges")
    assert exchange["id"] == views[0].id
    assert exchange["side"] == first
    assert {one["process"]["name"] for one in exchange["witnesses"]} == {"nginx", "curl"}
    assert exchange["consumer"]["name"] == "curl"
    assert client.get(f"/exchanges/{views[1].id}") == exchange
    assert totals(client) == {"GET /users/{id}": 1}
    assert client.server_ledger() == {"stored": 1, "witness": 1}


def test_the_order_of_arrival_changes_nothing_that_is_counted(tmp_path: Path) -> None:
    views = [*both(0), *both(1, "/orders"), *both(2, "/users/2", status=404), *both(3, port=40001)]
    seen: list[Any] = []
    for number, order in enumerate((views, views[::-1], views[0::2] + views[1::2])):
        with serving(tmp_path / str(number)) as client:
            for one in order:
                client.send(one)
            operations = client.operations()
            for operation in operations.values():
                del operation["first_seen"], operation["last_seen"]
            seen.append(operations)
    assert seen[0] == seen[1] == seen[2]


def test_calls_that_only_the_client_saw_count_with_the_server_once_it_is_known(client: Client) -> None:
    client.send(*[record(n, "client", "/a") for n in range(5)])
    (provisional,) = client.items("/apis")
    assert provisional["kind"] == "address"
    client.send(record(2, "server", "/a"), record(9, "server", "/b"))
    (api,) = client.items("/apis")
    assert (api["kind"], api["exchanges"]) == ("process", 6)
    assert api["merged"] == [provisional["id"]]
    assert totals(client) == {"GET /a": 5, "GET /b": 1}
    client.send(record(10, "client", "/a"))
    assert len(client.items("/apis")) == 1
    assert totals(client) == {"GET /a": 6, "GET /b": 1}


def test_a_virtual_address_before_several_servers_takes_no_ones_calls(client: Client) -> None:
    def through_service(n: int, port: int) -> list[Any]:
        end = Endpoint("10.0.0.1", 40000 + n)
        server = Endpoint("10.1.0.1", port, NETNS)
        return [
            record(0, "client", client=end, server=Endpoint("10.96.0.1", 80), port=40000 + n),
            record(0, "server", client=end, server=server, port=40000 + n),
        ]

    for n, port in enumerate([8081, 8082, 8081, 8082]):
        client.send(*through_service(n, port))
    client.send(record(0, "client", client=Endpoint("10.0.0.1", 5), server=Endpoint("10.96.0.1", 80), id="x"))
    apis = {api["name"]: api["exchanges"] for api in client.items("/apis")}
    assert apis == {"nginx:8081": 2, "nginx:8082": 2, "10.96.0.1:80": 1}


def test_loopback_ports_of_two_network_namespaces_stay_two_apis(client: Client) -> None:
    for netns in (1, 2):
        end, server = Endpoint("127.0.0.1", 40000, netns), Endpoint("127.0.0.1", 8080, netns)
        views = both(0, client=end, server=server)
        client.send(
            *[replace(one, id=f"{netns}-{one.id}", connection=f"{netns}-{one.side}") for one in views]
        )
    assert [api["exchanges"] for api in client.items("/apis")] == [1, 1]


def test_halves_on_both_sides_of_a_restart_still_meet(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(record(0, "client"), record(1, "client"))
    with serving(tmp_path) as client:
        client.seq = 1
        client.send(record(0, "server"), record(1, "server"), record(1, "client"))
        assert [len(one["witnesses"]) for one in client.items("/exchanges")] == [2, 2]
        assert totals(client) == {"GET /users/{id}": 2}


def test_a_half_that_comes_long_after_is_found_in_the_store(client: Client) -> None:
    client.send(record(0, "client"))
    client.send(record(0, "server"))
    assert client.core.acceptor.totals[SettledBy.LATE] == 1
    (exchange,) = client.items("/exchanges")
    assert len(exchange["witnesses"]) == 2


def test_what_the_server_saw_wins_and_nothing_seen_is_lost(client: Client) -> None:
    answer = record().response
    assert answer is not None
    unseen = replace(answer, body=replace(answer.body, data=None, state="unseen"))
    client.send(record(0, "server", response=unseen))
    client.send(record(0, "client"))
    (exchange,) = client.items("/exchanges")
    assert exchange["response"]["body"] == {"text": '{"id": "a"}'}
    assert exchange["response"]["complete"] is True
    assert exchange["process"]["name"] == "nginx"


def test_an_exchange_whose_request_went_by_unseen_is_kept_and_counted(client: Client) -> None:
    client.send(record(0, request=None, completeness="late-join"))
    (exchange,) = client.items("/exchanges")
    assert (exchange["method"], exchange["request"], exchange["operation"]) == (None, None, None)
    assert exchange["status"] == 200
    assert client.operations()["(request not seen)"]["kind"] == "unseen"


def test_templates_are_bounded_and_the_rest_counts_as_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.sqlite.writing.operations.MAX_PROVISIONAL", 5)
    client.send(*[record(n, path=f"/word{'x' * n}") for n in range(12)])
    operations = client.operations()
    assert len(operations) == 6
    assert operations["(other)"]["count"] == 7
    assert operations["(other)"]["kind"] == "overflow"
    (overflown,) = client.items("/exchanges", limit=1, path_prefix=f"/word{'x' * 11}")
    assert overflown["operation"] is None


def test_names_and_callers_that_anyone_can_invent_are_bounded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.sqlite.writing.consumers.MAX_CONSUMERS", 3)
    monkeypatch.setattr("server.store.sqlite.writing.apis.MAX_HOSTS", 3)
    agents = [replace(record().consumer, user_agent=f"bot/{n}") for n in range(9)]
    client.send(*[record(n, host=b"host%d" % n, consumer=agents[n]) for n in range(9)])
    (api,) = client.items("/apis")
    assert len(api["hosts"]) == 3
    callers = client.operations()["GET /users/{id}"]["callers"]
    assert {caller["name"]: caller["count"] for caller in callers} == {
        "bot/0": 1,
        "bot/1": 1,
        "bot/2": 1,
        "other user_agent": 6,
    }


def test_apis_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.sqlite.writing.apis.MAX_APIS", 3)
    servers = [Endpoint("10.0.0.1", 1000 + n) for n in range(6)]
    client.send(*[record(n, "client", server=server) for n, server in enumerate(servers)])
    apis = {api["name"]: api["exchanges"] for api in client.items("/apis")}
    assert apis == {"10.0.0.1:1000": 1, "10.0.0.1:1001": 1, "10.0.0.1:1002": 1, "(others)": 3}


def test_a_failed_write_leaves_memory_and_store_of_one_mind(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send(record(0, "client"))
    views = [record(0, "server"), record(1, "server", "/fresh")]

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(SqlitePositions, "record", fail)
        answer = client.http.post("/api/v1/records", content=batch(2, views))
        assert answer.status_code == 500
    client.seq = 1
    client.send(*views)
    assert totals(client) == {"GET /users/{id}": 1, "GET /fresh": 1}
    assert [len(one["witnesses"]) for one in client.items("/exchanges")] == [1, 2]


def test_every_outcome_is_a_name() -> None:
    assert len({*Received, *Left, *SettledBy}) == len(Received) + len(Left) + len(SettledBy)


def test_a_call_through_a_tunnel_is_one_exchange_of_its_two_ends(client: Client) -> None:
    asked, answered = both(0)
    proxy, server = Endpoint("10.0.0.9", 50000, NETNS), Endpoint("10.0.0.3", 443)
    client.send(
        replace(asked, client=Endpoint("10.0.0.1", 40000), server=server, via=proxy),
        replace(answered, client=replace(proxy, netns=None), server=server),
    )
    (exchange,) = client.items("/exchanges")
    assert (exchange["client"]["ip"], exchange["server"]["ip"]) == ("10.0.0.1", "10.0.0.3")
    assert {one["side"]: one["via"] and one["via"]["ip"] for one in exchange["witnesses"]} == {
        "client": "10.0.0.9",
        "server": None,
    }
    assert exchange["consumer"]["name"] == "curl"


def test_connect_is_a_call_of_the_proxy_and_makes_no_operation(client: Client) -> None:
    for number, host in enumerate((b"shop:443", b"bank:443")):
        client.send(*both(number, host, method="CONNECT", host=host))
    (api,) = client.items("/apis")
    assert (api["name"], api["exchanges"]) == ("nginx:8080", 2)
    assert [(one["kind"], one["count"]) for one in client.items(f"/apis/{api['id']}/operations")] == [
        ("unseen", 2)
    ]
    assert {(one["path"]["text"], one["host"]) for one in client.items("/exchanges")} == {
        ("shop:443", None),
        ("bank:443", None),
    }
