"""Two clusters ship to one server: agents, nodes, pods, addresses and ports of both have the same names, and
nothing of one is in what is asked of the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Capture, Endpoint, Record, Resident, Residents, pack_batch, pack_record
from tests.server.engine import spec
from tests.server.records import record
from tests.server.running import Client

EAST, WEST = "east", "west"
PATHS = {EAST: ("/users/1", "/users/2", "/orders"), WEST: ("/users/1", "/orders")}
"""Of the calls of each cluster. /orders is not described."""
TILL, SHOP = ("10.1.0.9", "till-1", "front", "till"), ("10.1.0.5", "shop-1", "store", "shop")
OF_CONSUMERS = {"/consumers", "/consumers/{id}/operations"}
"""A consumer has the same name in all clusters, and the calls of each."""
OF_ONE_API = {"/apis/{id}/proposals", "/apis/{id}/reconstructed/versions"}
"""Lists of one API, which is of one cluster."""


def pod(ip: str, name: str, namespace: str, workload: str) -> Resident:
    return Resident((ip,), name, namespace, workload, "Deployment")


@dataclass
class Agent:
    """The agent of a cluster's only node; without a name of the cluster if its token says that."""

    client: Client
    cluster: str
    secret: str
    names_it: bool
    seq: int = 0
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def send(self, *records: Record, lag_ms: int = 0, pods: Sequence[Resident] = ()) -> None:
        self.seq += 1
        cluster = self.cluster if self.names_it else None
        content = pack_batch(
            *("agent-1", f"epoch of {self.cluster}", self.seq),
            {"exchanges": {"parsed": len(PATHS[self.cluster]) * 2, "shipped": len(PATHS[self.cluster]) * 2}},
            [pack_record(replace(one, cluster=cluster, id=f"{self.cluster} {one.id}")) for one in records],
            Capture("everything", lag_ms),
            Residents(cluster, "node-1", tuple(pods)) if pods else None,
        )
        headers = {"Authorization": f"Bearer {self.secret}"}
        self.client.http.post("/api/v1/records", content=content, headers=headers).raise_for_status()


def views(ordinal: int, path: str) -> dict[str, Record]:
    """Both ends of a call between two pods, which their node's agent does not name."""
    client, server = Endpoint(TILL[0], 40000, 7), Endpoint(SHOP[0], 8080, 8)
    return {side: record(ordinal, side, path, client=client, server=server) for side in ("client", "server")}


@pytest.fixture
def agents(client: Client) -> dict[str, Agent]:
    """Agents of both clusters, which have reported their pods."""
    found = {}
    for cluster in (EAST, WEST):
        asked = {"name": f"agents of {cluster}", "cluster": cluster}
        made = client.http.post("/api/v1/tokens", json=asked).json()
        found[cluster] = Agent(client, cluster, made["secret"], names_it=cluster == EAST)
        found[cluster].send(pods=[pod(*TILL), pod(*SHOP)])
    return found


@pytest.fixture
def filled(client: Client, agents: Mapping[str, Agent]) -> Client:
    """A server with the calls of both clusters, and with a specification for the API of each."""
    for cluster, agent in agents.items():
        calls = [views(n, path) for n, path in enumerate(PATHS[cluster])]
        agent.send(*(one["client"] for one in calls), lag_ms=1000 if cluster == EAST else 5000)
        agent.send(*(one["server"] for one in calls), lag_ms=1000 if cluster == EAST else 5000)
    client.settle()
    for api in client.items("/apis"):
        put = client.http.put(f"/api/v1/apis/{api['id']}/spec", content=spec("GET /users/{id}"))
        put.raise_for_status()
    deadline = time.monotonic() + 60
    while len(client.items("/deviations")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return client


def lists(client: Client) -> Iterator[tuple[str, set[str]]]:
    """Each list of the API, and its query parameters, by the API's own document."""
    document = client.http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if {"items", "next"} <= set(schemas.get(name, {}).get("properties", {})):
            parameters = methods["get"].get("parameters", [])
            yield path.removeprefix("/api/v1"), {one["name"] for one in parameters if one["in"] == "query"}


def clusters_in(value: Any) -> set[str]:
    """Every value of a member `cluster`."""
    if isinstance(value, list):
        return {name for one in value for name in clusters_in(one)}
    if not isinstance(value, dict):
        return set()
    found = {name for one in value.values() for name in clusters_in(one)}
    return found | ({value["cluster"]} if "cluster" in value else set())


def test_every_list_is_narrowed_to_one_cluster(filled: Client) -> None:
    apis = {one["cluster"]: one["id"] for one in filled.items("/apis")}
    assert set(apis) == {EAST, WEST}
    found = dict(lists(filled))
    assert set(found) > {
        *OF_ONE_API,
        *OF_CONSUMERS,
        "/apis",
        "/exchanges",
        "/deviations",
        "/agents",
        "/specs",
        "/tokens",
    }
    for path, parameters in found.items():
        if path in OF_ONE_API:
            continue
        assert "cluster" in parameters, path
        if path in OF_CONSUMERS:
            continue
        for place in [path.format(id=id) for id in apis.values()] if "{id}" in path else [path]:
            items = {cluster: filled.items(place, cluster=cluster) for cluster in (EAST, WEST, "north")}
            assert items["north"] == [], place
            both = filled.items(place)
            assert sorted(map(repr, items[EAST] + items[WEST])) == sorted(map(repr, both)), place
            if "{id}" in path:
                assert sum(map(bool, items.values())) == 1, place
                continue
            for cluster in (EAST, WEST):
                assert items[cluster], place
                assert clusters_in(items[cluster]) <= {cluster}, place


def test_a_consumer_of_several_clusters_has_the_calls_of_each(filled: Client) -> None:
    everyone = filled.items("/consumers")
    assert filled.items("/consumers", cluster="north") == []
    for one in everyone:
        calls = 0
        for cluster in (EAST, WEST):
            found = filled.items(f"/consumers/{one['id']}/operations", cluster=cluster)
            there = filled.items("/consumers", cluster=cluster, consumer=one["id"])
            assert sum(operation["calls"] for operation in found) == sum(two["calls"] for two in there)
            calls += sum(two["calls"] for two in there)
        assert calls == one["calls"]


def test_each_clusters_calls_are_counted_paired_and_named_within_it(filled: Client) -> None:
    for cluster, paths in PATHS.items():
        (api,) = filled.items("/apis", cluster=cluster)
        assert (api["kind"], api["name"], api["exchanges"]) == ("workload", "store/shop", len(paths))
        exchanges = filled.items("/exchanges", cluster=cluster)
        assert sorted(one["path"]["text"] for one in exchanges) == sorted(paths)
        for one in exchanges:
            assert [view["cluster"] for view in one["witnesses"]] == [cluster] * 2
            assert {view["client"]["pod"] for view in one["witnesses"]} == {TILL[1]}
        operations = filled.items(f"/apis/{api['id']}/operations")
        callers = [(who["name"], who["count"]) for one in operations for who in one["callers"]]
        assert {name for name, _ in callers} == {"front/till"}
        assert sum(count for _, count in callers) == len(paths)
        (deviation,) = filled.items("/deviations", cluster=cluster)
        assert (deviation["api"], deviation["count"]) == (api["id"], 1)
        coverage = filled.get(f"/apis/{api['id']}/coverage", by="workload")
        assert coverage["exchanges"] == len(paths)


def test_two_ends_in_two_clusters_are_two_calls_whatever_they_agree_in(
    client: Client, agents: Mapping[str, Agent]
) -> None:
    one = views(0, "/users/1")
    agents[EAST].send(one["client"])
    agents[WEST].send(one["server"])
    client.settle()
    assert [len(found["witnesses"]) for found in client.items("/exchanges")] == [1, 1]
    agents[WEST].send(one["client"])  # late: the other half is the west's, not that of the east
    client.settle()
    found = {view["cluster"]: one for one in client.items("/exchanges") for view in one["witnesses"]}
    assert {cluster: len(one["witnesses"]) for cluster, one in found.items()} == {EAST: 1, WEST: 2}
    assert len(client.items("/exchanges")) == 2


def test_the_ledger_and_the_lag_are_of_one_cluster_or_of_all(
    filled: Client, agents: Mapping[str, Agent]
) -> None:
    ledgers = {cluster: filled.get("/ledger", cluster=cluster) for cluster in (EAST, WEST, "north", "")}
    for cluster, paths in PATHS.items():
        calls = 2 * len(paths)
        assert ledgers[cluster]["agents"] == {"exchanges": {"parsed": calls, "shipped": calls}}
        assert ledgers[cluster]["server"] == {"stored": len(paths), "witness": len(paths)}
        for part in ("exchanges", "delivery"):
            balance = ledgers[cluster]["balance"][part]
            assert (balance["total"], balance["settled"], balance["open"]) == (calls, calls, 0)
    again = [views(n, path)["client"] for n, path in enumerate(PATHS[EAST])]
    agents[EAST].send(*again)
    assert filled.get("/ledger", cluster=EAST)["server"]["duplicate"] == len(again)
    assert filled.get("/ledger", cluster=WEST)["server"] == ledgers[WEST]["server"]
    whole = 2 * sum(map(len, PATHS.values()))
    assert ledgers[""]["balance"]["delivery"]["settled"] == whole
    assert 1 <= ledgers[EAST]["lag_s"] < 5 <= ledgers[WEST]["lag_s"]
    assert ledgers[""]["lag_s"] >= 5
    assert (ledgers["north"]["agents"], ledgers["north"]["lag_s"]) == ({}, None)


def test_agents_of_one_name_in_two_clusters_are_two(filled: Client) -> None:
    metrics = filled.http.get("/metrics").text
    assert 'spectap_server_agents{state="everything"} 2.0' in metrics
    assert {f'spectap_server_cluster_lag_seconds{{cluster="{name}"}}' in metrics for name in PATHS} == {True}
    assert sorted(one["cluster"] for one in filled.items("/agents", node="node-1")) == [EAST, WEST]


@pytest.mark.parametrize("target", [{"workload": "store/shop"}, {"host": "shop.local:8080"}])
def test_a_specification_goes_to_the_api_of_the_cluster_that_it_names(
    filled: Client, target: Mapping[str, str]
) -> None:
    for cluster in PATHS:
        (api,) = filled.items("/apis", cluster=cluster)
        asked = {**target, "cluster": cluster}
        added = filled.http.post(
            "/api/v1/specs", params=asked, content=spec("GET /users/{id}", version=cluster)
        )
        assert (added.status_code, added.json()["api"]) == (201, api["id"])
        assert cluster in {one["version"] for one in filled.items("/specs", cluster=cluster)}
    asked = {**target, "cluster": "north"}
    added = filled.http.post("/api/v1/specs", params=asked, content=spec("GET /users/{id}"))
    (api,) = [one for one in filled.items("/apis") if one["kind"] == "declared"]
    assert (api["id"], api["cluster"]) == (added.json()["api"], "north")
