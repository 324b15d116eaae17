from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from openapi_spec_validator import validate

from agent.wire import (
    Body,
    Endpoint,
    Grpc,
    Residents,
    SubOperation,
    WebSocket,
    WebSocketHalf,
    WebSocketText,
    pack_batch,
    pack_record,
)
from server.api.paging import MAX_LIMIT
from server.services import exchanges as stored
from server.store.sqlite.reading import exchanges
from tests.server.engine import spec
from tests.server.records import MS, NOON, both, record
from tests.server.running import Client

CALLER = Endpoint("10.1.0.9", 40000, 7, pod="till-1", namespace="front", workload="till")
SHOP = Endpoint(
    *("10.1.0.5", 8080, 7),
    pod="shop-1",
    namespace="store",
    workload="shop",
    workload_kind="Deployment",
    labels={"helm.sh/chart": "shop-1.2"},
    node="node-1",
    container="web",
    image="shop:1.2",
    digest="sha256:5",
)


def paths(page: dict[str, Any]) -> list[str]:
    return [one["path"]["text"] for one in page["items"]]


def test_pages_hold_every_exchange_once_while_others_arrive(client: Client) -> None:
    client.send(*[record(n, path=f"/{n}") for n in range(20)])
    page = client.get("/exchanges", limit=7)
    seen = paths(page)
    fresh = 100
    while page["next"]:
        client.send(*[record(n, path=f"/{n}") for n in range(fresh, fresh + 5)])
        fresh += 5
        page = client.get("/exchanges", limit=7, cursor=page["next"])
        seen += paths(page)
    assert seen == [f"/{n}" for n in range(19, -1, -1)]
    assert paths(client.get("/exchanges", limit=1)) == [f"/{fresh - 1}"]


def test_exchanges_of_one_moment_are_paged_too(client: Client) -> None:
    client.send(*[record(0, id=f"r{n}", port=n + 1, start=NOON) for n in range(5)])
    assert sorted(one["id"] for one in client.items("/exchanges", limit=2)) == [f"r{n}" for n in range(5)]


def test_a_page_ends_where_its_bodies_grow_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "PAGE_BYTES", 250_000)
    answer = record().response
    assert answer is not None
    large = replace(answer, body=Body(100_000, b"x" * 100_000, "complete"))
    client.send(*[record(n, response=large) for n in range(5)])
    page = client.get("/exchanges")
    assert len(page["items"]) == 2
    assert len(client.items("/exchanges")) == 5


def test_every_list_is_narrowed_by_the_same_filters(client: Client) -> None:
    raw = spec("GET /users/{id}")
    client.http.post("/api/v1/specs", params={"workload": "store/shop"}, content=raw).raise_for_status()
    client.send(
        record(0, server=SHOP, client=CALLER),
        record(1, path="/users/2", server=SHOP, client=CALLER, status=503),
        record(100, method="POST", path="/orders", server=SHOP),
        replace(record(200, "client", "/elsewhere", server=Endpoint("10.0.0.1", 80)), cluster="east"),
    )
    shop = next(api["id"] for api in client.items("/apis") if api["workload"] == "shop")
    late = "2026-11-23T12:00:01Z"
    cases: dict[tuple[str, str], list[str]] = {
        ("api", shop): ["/orders", "/users/2", "/users/1"],
        ("api", "no-such-id"): [],
        ("method", "POST"): ["/orders"],
        ("path_prefix", "/users/2"): ["/users/2"],
        ("path_prefix", "/users/"): ["/users/2", "/users/1"],
        ("status", "503"): ["/users/2"],
        ("status", "2xx"): ["/elsewhere", "/orders", "/users/1"],
        ("status", "2XX"): ["/elsewhere", "/orders", "/users/1"],
        ("status", ">=500,none"): ["/users/2"],
        ("method", "post,put"): ["/orders"],
        ("path", "*user*"): ["/users/2", "/users/1"],
        ("api", "*/shop"): ["/orders", "/users/2", "/users/1"],
        ("operation", "GET /users/{id}"): ["/users/2", "/users/1"],
        ("kind", "unknown-status"): ["/users/2"],
        ("severity", "high"): ["/orders"],
        ("severity", "medium"): ["/users/2"],
        ("took", ">1h"): [],
        ("consumer", "fron*"): ["/users/2", "/users/1"],
        ("namespace", "fr?nt"): ["/users/2", "/users/1"],
        ("q", "status:5xx users"): ["/users/2"],
        ("q", "-status:5xx -verdict:shadow"): ["/elsewhere", "/users/1"],
        ("verdict", "shadow"): ["/orders"],
        ("consumer", "front/till"): ["/users/2", "/users/1"],
        ("namespace", "front"): ["/users/2", "/users/1"],
        ("namespace", "fron"): [],
        ("workload", "shop"): ["/orders", "/users/2", "/users/1"],
        ("pod", "till-1"): ["/users/2", "/users/1"],
        ("image", "shop:1.2"): ["/orders", "/users/2", "/users/1"],
        ("image", "sha256:5"): ["/orders", "/users/2", "/users/1"],
        ("cluster", "east"): ["/elsewhere"],
        ("since", late): ["/elsewhere", "/orders"],
        ("until", late): ["/users/2", "/users/1"],
    }
    for (name, value), expected in cases.items():
        assert paths(client.get("/exchanges", **{name: value})) == expected, name
    assert paths(client.get("/exchanges", api=shop, status="2xx", method="GET")) == ["/users/1"]
    assert paths(client.get("/exchanges", status=["503", "404"])) == ["/users/2"]
    assert paths(client.get("/exchanges", q="status:5xx", method="POST")) == []
    (users,) = client.items("/operations", q="operation:*{id}")
    assert paths(client.get("/exchanges", operation=users["id"])) == ["/users/2", "/users/1"]

    def names(path: str, /, **filters: str | list[str]) -> list[str]:
        return [one["operation"] for one in client.items(path, **filters)]

    operations = f"/apis/{shop}/operations"
    assert names(operations) == ["GET /users/{id}", "POST /orders"]
    assert names(operations, method="POST") == ["POST /orders"]
    assert names(operations, status="5xx") == ["GET /users/{id}"]
    assert names(operations, path_prefix="/users") == ["GET /users/{id}"]
    assert names(operations, verdict="shadow") == ["POST /orders"]
    assert names(operations, consumer="front/till") == ["GET /users/{id}"]
    assert names(operations, since=late) == ["POST /orders"]
    assert names(operations, until=late) == ["GET /users/{id}"]
    assert names("/deviations") == ["POST /orders", "GET /users/{id}"]
    assert names("/deviations", method="GET") == ["GET /users/{id}"]
    assert names("/deviations", path_prefix="/orders") == ["POST /orders"]
    assert names("/deviations", consumer="front/till") == ["GET /users/{id}"]
    assert names("/deviations", namespace="store", workload="shop", api=shop, since=late) == ["POST /orders"]
    assert names("/deviations", verdict="shadow") == ["POST /orders"]
    assert names("/deviations", status="503") == ["GET /users/{id}"]
    assert names("/deviations", kind="unknown-status") == ["GET /users/{id}"]
    assert names("/deviations", severity="high", fault="server") == ["POST /orders"]
    assert names("/deviations", operation=users["id"]) == ["GET /users/{id}"]
    assert names("/deviations", state=["open", "ignored"], q="USERS") == ["GET /users/{id}"]
    assert names("/operations", kind="unknown-status") == ["GET /users/{id}"]
    assert [api["name"] for api in client.items("/apis", kind="unknown-status")] == ["store/shop"]
    assert [api["name"] for api in client.items("/apis", host="10.0.0.1")] == []
    assert [api["exchanges"] for api in client.items("/apis", status="503")] == [2]
    assert [api["name"] for api in client.items("/apis", namespace="store")] == ["store/shop"]
    assert [api["name"] for api in client.items("/apis", pod="till-1")] == ["store/shop"]
    assert [api["name"] for api in client.items("/apis", cluster="east")] == ["10.0.0.1:80"]
    assert names("/deviations", image="sha256:5", method="GET") == ["GET /users/{id}"]
    assert names("/deviations", cluster="east") == []
    assert sorted(names("/operations")) == ["GET /elsewhere", "GET /users/{id}", "POST /orders"]
    assert names("/operations", state="shadow") == ["POST /orders"]
    assert names("/operations", state="zombie") == []
    assert names("/operations", api=shop, method="GET") == ["GET /users/{id}"]
    assert names("/operations", api="0" * 16) == []
    assert sorted(names("/operations", new_since=late)) == ["GET /elsewhere", "POST /orders"]
    assert names("/deviations", new_since=late) == ["POST /orders"]
    assert sorted(paths(client.get("/exchanges", new_since=late))) == ["/elsewhere", "/orders"]
    assert [api["name"] for api in client.items("/apis", new_since=late)] == ["10.0.0.1:80"]
    assert [api["name"] for api in client.items("/apis", specified="true")] == ["store/shop"]
    assert [api["name"] for api in client.items("/apis", specified="false")] == ["10.0.0.1:80"]
    by_place = [[api["name"] for api in client.items("/apis", external=one)] for one in ("yes", "no")]
    assert by_place == [
        [api["name"] for api in client.items("/apis") if api["internal"] is one] for one in (False, True)
    ]
    (named,) = client.items("/operations", path_prefix="/users")
    assert (len(named["id"]), named["api"]) == (16, shop)
    assert [api["name"] for api in client.items("/apis", method="GET", until=late)] == ["store/shop"]


def test_both_ends_show_all_that_is_known_of_their_pods(client: Client) -> None:
    client.send(record(0, server=SHOP, client=CALLER))
    (one,) = client.items("/exchanges")
    assert one["server"] == {name: getattr(SHOP, name) for name in SHOP.__struct_fields__}
    assert (one["client"]["pod"], one["client"]["workload"]) == ("till-1", "till")
    assert (one["consumer"]["kind"], one["consumer"]["name"]) == ("workload", "front/till")


@pytest.mark.parametrize(
    ("path", "unknown", "known"),
    [
        ("/exchanges", "stauts", {"status", "since", "limit", "cursor"}),
        ("/deviations", "States", {"state", "status"}),
        ("/agents", "api", {"limit", "cursor", "cluster", "node"}),
        ("/apis/x/reconstructed/diff", "form", {"from", "to"}),
        ("/ledger", "x", set()),
    ],
)
def test_a_parameter_that_a_route_does_not_take_is_an_error_that_names_those_it_does(
    client: Client, path: str, unknown: str, known: set[str]
) -> None:
    answer = client.http.get(f"/api/v1{path}", params={unknown: "500"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert problem["detail"].startswith(f"query.{unknown}: no such parameter; known here: ")
    assert [one["where"] for one in problem["errors"]] == [f"query.{unknown}"]
    assert known <= set(problem["known"])
    assert all(name in problem["detail"] for name in problem["known"])


def test_however_many_unknown_parameters_are_a_short_error(client: Client) -> None:
    query = "&".join(f"{'x' * 500}{n}" for n in range(100))
    answer = client.http.get(f"/api/v1/exchanges?{query}")
    assert answer.status_code == 422
    assert len(answer.content) < 6000


def test_each_list_can_be_paged_one_by_one(client: Client) -> None:
    client.http.post("/api/v1/specs", params={"host": "h"}, content=spec("GET /")).raise_for_status()
    for n in range(3):
        server = Endpoint("127.0.0.1", 9000 + n, 1)
        client.send(
            *[record(m, path=f"/p{n}{'x' * m}", server=server, id=f"{n}{m}", host=b"h") for m in range(3)]
        )
    for path in ("/apis", "/exchanges", "/deviations", "/specs", "/agents"):
        assert client.items(path, limit=1) == client.items(path, limit=MAX_LIMIT) != []
    api = client.items("/apis")[0]["id"]
    assert len(client.items(f"/apis/{api}/operations", limit=1)) == 3


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        f"limit={MAX_LIMIT + 1}",
        "limit=x",
        "cursor=nonsense",
        "cursor=" + "A" * 300,
        "cursor=%00%ff",
        "cursor=______________________",
        "status=abc",
        "status=1234",
        "since=yesterday",
        "since=0.5",
        "q=stauts:500",
        "q=%22a",
        "verdict=deviate",
        "until=2026-13-01T00:00:00Z",
    ],
)
@pytest.mark.parametrize("path", ["/apis", "/exchanges", "/deviations"])
def test_a_query_that_makes_no_sense_is_a_problem_document(client: Client, path: str, query: str) -> None:
    answer = client.http.get(f"/api/v1{path}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("query.")


def test_bytes_are_shown_and_never_interpreted(client: Client) -> None:
    html = b"<script>alert(1)</script>"
    answer = record().response
    assert answer is not None
    hostile = replace(
        answer, body=Body(4, b"\xff\xfe\0\1", "complete"), headers=((b"x", html), (b"\xff", b""))
    )
    client.send(record(0, path=b"/\xff" + html + b"?\xfe", response=hostile, host=html))
    (one,) = client.items("/exchanges")
    assert one["path"] == {"base64": "/zxzY3JpcHQ+YWxlcnQoMSk8L3NjcmlwdD4="} or "base64" in one["path"]
    assert one["query"] == {"base64": "/g=="}
    assert one["response"]["body"] == {"base64": "//4AAQ=="}
    assert one["response"]["headers"] == [
        [{"text": "x"}, {"text": html.decode()}],
        [{"base64": "/w=="}, {"text": ""}],
    ]
    answer_ = client.http.get("/api/v1/exchanges")
    assert answer_.headers["content-type"] == "application/json"
    assert answer_.headers["x-content-type-options"] == "nosniff"


def test_an_exchange_says_all_that_its_witnesses_know(client: Client) -> None:
    client.send(*both(0, "/users/1?a=1", tls="openssl"))
    (one,) = client.items("/exchanges")
    assert (one["time"], one["side"], one["protocol"], one["tls"]) == (
        "2026-11-23T12:00:00.000000000Z",
        "client",
        "h1",
        "openssl",
    )
    assert (one["method"], one["scheme"], one["host"], one["status"]) == (
        "GET",
        "http",
        "shop.local:8080",
        200,
    )
    assert one["duration_ms"] == 1.8
    assert (one["client"]["ip"], one["server"]["port"], one["process"]["name"]) == (
        "127.0.0.1",
        8080,
        "nginx",
    )
    assert one["request"]["headers"] == [[{"text": "host"}, {"text": "shop.local:8080"}]]
    assert (one["request"]["size"], one["response"]["size"], one["response"]["complete"]) == (0, 11, True)
    assert one["witnesses"][1]["timing"]["request_start"] == "2026-11-23T12:00:00.000100000Z"


def test_latency_comes_from_the_servers_view(client: Client) -> None:
    client.send(*[one for n in range(100) for one in both(n, took=(2 if n < 90 else 100) * 1_000_000)])
    latency = client.operations()["GET /users/{id}"]["latency_ms"]
    assert latency["p50"] == pytest.approx(1.8, rel=0.05)
    assert latency["p95"] == latency["p99"] == pytest.approx(99.8, rel=0.05)


def test_what_is_not_there_is_a_problem_document(client: Client) -> None:
    for path in ("/nowhere", "/api/v1/apis/x", "/api/v1/apis/x/operations", "/api/v1/exchanges/x"):
        answer = client.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.http.delete("/api/v1/apis").status_code == 405


def test_the_api_describes_itself(client: Client) -> None:
    document = client.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    validate(document)
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["responses"]["4XX"]["content"].keys() == {"application/problem+json"}
            assert operation["security"] == [{"HTTPBearer": []}]
    assert sorted(document["paths"]) == [
        "/api/v1/agents",
        "/api/v1/apis",
        "/api/v1/apis/{id}",
        "/api/v1/apis/{id}/coverage",
        "/api/v1/apis/{id}/coverage/gaps",
        "/api/v1/apis/{id}/decisions",
        "/api/v1/apis/{id}/decisions/{decision}",
        "/api/v1/apis/{id}/operations",
        "/api/v1/apis/{id}/proposals",
        "/api/v1/apis/{id}/proposals/document",
        "/api/v1/apis/{id}/reconstructed",
        "/api/v1/apis/{id}/reconstructed/diff",
        "/api/v1/apis/{id}/reconstructed/refused",
        "/api/v1/apis/{id}/reconstructed/versions",
        "/api/v1/apis/{id}/spec",
        "/api/v1/apis/{id}/spec/part",
        "/api/v1/consumers",
        "/api/v1/consumers/{id}",
        "/api/v1/consumers/{id}/operations",
        "/api/v1/deviations",
        "/api/v1/deviations/{id}",
        "/api/v1/deviations/{id}/accept",
        "/api/v1/deviations/{id}/ignore",
        "/api/v1/exchanges",
        "/api/v1/exchanges/{id}",
        "/api/v1/facets",
        "/api/v1/ledger",
        "/api/v1/operations",
        "/api/v1/query/fields",
        "/api/v1/records",
        "/api/v1/specs",
        "/api/v1/specs/fetch",
        "/api/v1/specs/try",
        "/api/v1/specs/{id}",
        "/api/v1/stats",
        "/api/v1/tokens",
        "/api/v1/tokens/{id}",
        "/api/v1/tokens/{id}/rotate",
    ]


def test_agents_and_their_ledgers_add_up(client: Client) -> None:
    from tests.server.records import batch

    for epoch, seq in (("one", 1), ("one", 3), ("one", 2), ("two", 1)):
        client.http.post("/api/v1/records", content=batch(seq, [], epoch)).raise_for_status()
    assert {(one["epoch"], one["last_seq"]) for one in client.items("/agents")} == {("one", 3), ("two", 1)}
    assert client.get("/ledger")["agents"]["bytes"] == {"parsed": 400}


def test_agents_are_narrowed_by_cluster_and_node_also_before_their_first_record(client: Client) -> None:
    from tests.server.records import batch

    for number, (cluster, node) in enumerate((("east", "n1"), ("east", "n2"), ("west", "n1"))):
        content = batch(1, [], agent=f"agent-{number}", residents=Residents(cluster, node, ()))
        client.http.post("/api/v1/records", content=content).raise_for_status()

    def agents(**filters: str) -> set[str]:
        return {one["agent"] for one in client.items("/agents", **filters)}

    assert agents(cluster="east") == {"agent-0", "agent-1"}
    assert agents(node="n1") == {"agent-0", "agent-2"}
    assert agents(cluster="east", node="n1") == {"agent-0"}
    assert agents(cluster="eas") == set()


def test_the_ledger_says_how_bytes_exchanges_and_delivery_add_up(client: Client) -> None:
    views = [pack_record(one) for one in (*both(0), *both(1))]
    exchanges = {"parsed": 9, "shipped": 4, "refused": 2, "in_flight": 3}
    ledger = {"bytes": {"seen": 1000, "parsed": 700, "late": 200}, "exchanges": exchanges, "kernel": {}}
    for seq in (1, 1, 2):  # sent again, with the same and with another number
        content = pack_batch("agent-1", "epoch-1", seq, ledger, views)
        client.http.post("/api/v1/records", content=content).raise_for_status()
    answer = client.get("/ledger")
    assert answer["server"] == {"stored": 2, "witness": 2, "duplicate_batch": 4, "duplicate": 4}
    assert answer["balance"] == {
        "bytes": {"total": 1000, "settled": 900, "open": 100, "ahead": 0, "left_out": []},
        "exchanges": {"total": 9, "settled": 9, "open": 0, "ahead": 0, "left_out": []},
        "delivery": {"total": 4, "settled": 8, "open": 0, "ahead": 4, "left_out": []},
    }


def test_an_agent_that_does_not_say_what_it_saw_is_left_out_of_the_balance_and_named(client: Client) -> None:
    for agent, counts in (
        ("old", {"parsed": 5000, "late": 7}),
        ("new", {"seen": 1000, "parsed": 700, "late": 200}),
        ("idle", {}),
    ):
        ledger = {"bytes": counts, "exchanges": {"parsed": 9, "shipped": 9}}
        client.http.post("/api/v1/records", content=pack_batch(agent, "epoch-1", 1, ledger, []))
    answer = client.get("/ledger")
    assert answer["agents"]["bytes"] == {"parsed": 5700, "late": 207, "seen": 1000}
    assert answer["balance"]["bytes"] == {
        "total": 1000,
        "settled": 900,
        "open": 100,
        "ahead": 0,
        "left_out": ["old"],
    }
    assert answer["balance"]["exchanges"] == {
        "total": 27,
        "settled": 27,
        "open": 0,
        "ahead": 0,
        "left_out": [],
    }


def test_a_grpc_call_shows_its_own_status_and_how_many_messages_passed(client: Client) -> None:
    client.send(record(1, protocol="grpc", grpc=Grpc(5, 1, None, 12, None, 12, None), fields_unknown=2))
    (shown,) = client.items("/exchanges")
    assert (shown["protocol"], shown["fields_unknown"]) == ("grpc", 2)
    assert shown["grpc"] == {
        **{"status": 5, "request_messages": 1, "response_messages": None, "request_bytes": 12},
        **{"response_bytes": None, "request_largest": 12, "response_largest": None},
    }


@pytest.mark.parametrize("order", [1, -1])
def test_a_websocket_connection_is_that_of_the_view_that_saw_most(client: Client, order: int) -> None:
    sent, part = WebSocketHalf(3, 1, 1, 0, 0, 1, 20, 0), WebSocketHalf(1, 1, 0, 0, 0, 0, 5, 15)
    text = WebSocketText("client", b'{"a": 1}', NOON + 5 * MS)
    views = [
        record(0, status=101, websocket=WebSocket(part, sent, None, None, None)),
        record(
            0, "client", status=101, websocket=WebSocket(sent, sent, 1001, "server", NOON + 9 * MS, (text,))
        ),
    ]
    client.send(*views[::order])
    (exchange,) = client.items("/exchanges")
    shown = exchange["websocket"]
    half = {"messages": 2, "text": 1, "binary": 1, "frames": 3, "pings": 0, "pongs": 0}
    assert shown["client"] == shown["server"] == {**half, "compressed": 1, "bytes": 20, "unseen": 0}
    assert (shown["close_code"], shown["closed_by"]) == (1001, "server")
    assert [(one["sender"], one["data"]) for one in shown["texts"]] == [("client", {"text": '{"a": 1}'})]
    assert 0 < shown["open_ms"] < 9


@pytest.mark.parametrize("order", [1, -1])
def test_an_operation_lists_what_was_asked_for_within_it(client: Client, order: int) -> None:
    subs = (SubOperation("graphql", "query", "GetUser", None), SubOperation("mcp", "call", "", None))
    told = tuple(replace(one, failed=one.protocol == "mcp") for one in subs)
    views = [
        record(method="POST", path="/graphql", sub_operations=subs),
        record(0, "client", method="POST", path="/graphql", sub_operations=told),
    ]
    client.send(*views[::order])
    (operation,) = client.operations().values()
    assert operation["sub_operations"] == [
        {"protocol": "graphql", "kind": "query", "name": "GetUser", "count": 1, "failed": 0, "unknown": 0},
        {"protocol": "mcp", "kind": "call", "name": "", "count": 1, "failed": 1, "unknown": 0},
    ]
    (exchange,) = client.items("/exchanges")
    assert [one["failed"] for one in exchange["sub_operations"]] == [False, True]


@pytest.mark.parametrize("moment", ["2300-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_moment_beyond_what_the_store_can_hold_is_only_far_away(client: Client, moment: str) -> None:
    client.send(record(0))
    assert len(client.items("/exchanges", since=moment)) == (moment < "2000")
    assert len(client.items("/exchanges", until=moment)) == (moment > "2000")


def test_the_fields_of_a_query_are_there_for_completion(client: Client) -> None:
    fields = {one["name"]: one for one in client.get("/query/fields", list="exchanges")["items"]}
    assert fields["verdict"]["values"] == ["shadow", "deviating", "zombie", "unjudged", "conforming"]
    assert "state" not in fields
    for name, field in fields.items():
        assert client.get("/exchanges", q=f'{name}:"{field["example"]}"')["items"] == []
    assert client.http.get("/api/v1/query/fields?list=none").status_code == 422


def test_facets_are_the_numbers_of_the_lists_they_lead_to(client: Client) -> None:
    client.http.post("/api/v1/specs", params={"host": "h"}, content=spec("GET /a")).raise_for_status()
    views = [
        record(n, path="/ab"[: 1 + n % 2] + "a", host=b"h", status=(200, 404, None)[n % 3]) for n in range(9)
    ]
    client.send(*views)
    fields = ["api", "consumer", "fault", "method", "operation", "status", "verdict"]
    found = client.get("/facets", fields=fields, q="status:2xx,404,none")
    assert (found["total"], found["more"], [*found["facets"]]) == (9, False, fields)
    assert {one["value"]: one["count"] for one in found["facets"]["status"]} == {"200": 3, "404": 3, None: 3}
    for field, values in found["facets"].items():
        assert sum(one["count"] for one in values) == 9
        for one in values:
            if one["value"] is not None:
                assert len(client.items("/exchanges", **{field: one["value"]})) == one["count"], one
    assert [*client.get("/facets")["facets"]] == ["status", "verdict", "method"]
    assert client.http.get("/api/v1/facets?fields=path").status_code == 422


def test_more_exchanges_than_are_counted_are_said_to_be_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MAX_COUNTED", 2)
    client.send(record(0), record(1))
    assert (client.get("/facets")["total"], client.get("/facets")["more"]) == (2, False)
    client.send(record(2))
    found = client.get("/facets")
    assert (found["total"], found["more"]) == (2, True)
    assert found["facets"]["method"] == [{"value": "GET", "count": 2}]


def test_unused_operations_of_all_apis_are_listed_by_api(client: Client) -> None:
    for host in ("a", "b"):
        raw = spec(f"GET /{host}/used", f"GET /{host}/1", f"GET /{host}/2")
        client.http.post("/api/v1/specs", params={"host": host}, content=raw).raise_for_status()
        client.send(
            record(
                0,
                "client",
                f"/{host}/used",
                host=host.encode(),
                id=host,
                server=Endpoint(f"10.9.9.{ord(host)}", 80),
            )
        )
    apis = [api["id"] for api in client.items("/apis")]
    one_by_one = client.items("/operations", state="unused", limit=1)
    assert {one["operation"] for one in one_by_one} == {f"GET /{host}/{n}" for host in "ab" for n in (1, 2)}
    for api in apis:
        of_api = [one for one in one_by_one if one["api"] == api]
        assert client.items("/operations", state="unused", api=api) == of_api
        assert client.items(f"/apis/{api}/operations", state="unused") == of_api
    answer = client.http.get("/api/v1/operations?state=unused&method=GET")
    assert (answer.status_code, "give api" in answer.json()["detail"]) == (422, True)
