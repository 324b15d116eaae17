"""Makes a database with the surrounding tree, and records what that tree's server returns of it.

In a checkout of the revision: `.venv/bin/python -m tests.data.databases.make NAME` writes NAME.db.gz and
NAME.json.gz beside this file. The traffic is made up by tests: it contains no person, machine or real
service.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agent.wire import Consumer, Endpoint, Record
from server.analysis.specs.load import load
from server.store.sqlite.connection import FILE
from tests.data.databases.answers import answers
from tests.server.analysis.rebuild.traffic import call
from tests.server.records import NOON, both, record
from tests.server.running import Client, serving, wait_for
from tests.server.ui.shop import SPEC

HERE = Path(__file__).parent
OLD_BATCH = HERE.parent / "wire" / "batch-v1.msgpack"
CENTURY_DAYS = 36_500.0
PAYMENTS = {
    "swagger": "2.0",
    "info": {"title": "Payments", "version": "0.9"},
    "host": "payments.example",
    "basePath": "/v1",
    "paths": {
        "/payments/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "type": "string", "pattern": "^(?!0)[0-9]+$"}
            ],
            "get": {"responses": {"200": {"description": "The payment"}}},
        }
    },
}

DECISIONS = (
    {"kind": "rename", "place": ["users"], "name": "user"},
    {
        "kind": "fix",
        "operation": "GET /users/{}",
        "where": "response.body",
        "pointer": "/name",
        "schema": {"type": "string", "maxLength": 80},
    },
)


def make(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data, load, retention_days=CENTURY_DAYS) as client:
            fill(client)
            told = answers(client)
        keep(f"{name}.json.gz", json.dumps(told, sort_keys=True).encode())
        keep(f"{name}.db.gz", (data / FILE).read_bytes())


def keep(name: str, content: bytes) -> None:
    packed = gzip.compress(content, mtime=0)
    (HERE / name).write_bytes(packed)
    sys.stdout.write(f"{name}: {len(packed)} bytes\n")


def fill(client: Client) -> None:
    """Traffic with every kind of API, consumer and verdict, then decisions on it."""
    client.send(*[record(n, "client", "/users/3", port=40010) for n in range(3)])
    client.send(*calls(), record(1, "server", "/users/3", port=40010))  # two APIs turn out to be one
    client.send(*behind_virtual_address(), *workloads(), *incomplete())
    assert client.http.post("/api/v1/records", content=OLD_BATCH.read_bytes()).is_success
    shop = api_called(client, "nginx:8080")
    upload(client, f"/apis/{shop}/spec", SPEC, "PUT")
    upload(client, "/specs", PAYMENTS)
    upload(client, "/specs?workload=shop/orders&base_path=/api", SPEC)
    open_, accepted, ignored = wait_for(lambda: three_deviations(client), "deviations")
    assert open_["state"] == "open"
    said = {"reason": "on purpose", "by": "Ann"}
    assert client.http.post(f"/api/v1/deviations/{ignored['id']}/ignore", json=said).is_success
    assert client.http.post(f"/api/v1/deviations/{accepted['id']}/accept", json=said).is_success
    first = wait_for(lambda: client.items(f"/apis/{shop}/reconstructed/versions"), "a rebuilt document")
    for decision in DECISIONS:
        assert client.http.post(f"/api/v1/apis/{shop}/decisions", json=decision).is_success
    path = f"/apis/{shop}/reconstructed/versions"
    wait_for(lambda: len(client.items(path)) > len(first), "the next version")


def three_deviations(client: Client) -> list[dict[str, Any]]:
    found = client.items("/deviations")
    return found[:3] if len(found) >= 3 else []


def api_called(client: Client, name: str) -> str:
    (found,) = [api["id"] for api in client.items("/apis") if api["name"] == name]
    return str(found)


def upload(client: Client, path: str, document: dict[str, Any], method: str = "POST") -> None:
    answer = client.http.request(method, f"/api/v1{path}", content=json.dumps(document))
    assert answer.is_success, answer.text


def calls() -> Iterator[Record]:
    """Both views of calls that conform, deviate, are undocumented or deprecated; bodies to learn from."""
    for n in range(12):
        yield from both(n, f"/users/{n}")
        answer = {"id": n, "name": f"user {n}", "tags": ["a", "b"][: n % 3]}
        learnt = call(path=f"/users/{n}", answer=answer, ordinal=100 + n)
        yield replace(learnt, consumer=Consumer(user_agent="python-httpx/0.28"))
    yield from both(20, "/users/2?colour=red")
    yield from both(21, "/users/9", status=418)
    yield from both(22, "/carts")
    yield from both(23, "/admin", method="DELETE")
    yield call("POST", "/orders", 201, {"order": 1}, sent={"item": "tea", "count": 2}, ordinal=24)


def behind_virtual_address() -> Iterator[Record]:
    """Two servers behind one address: calls that only the client saw belong to neither."""
    for n, port in enumerate((8081, 8082)):
        client, server = Endpoint("10.0.0.1", 41000 + n), Endpoint("10.1.0.1", port, 7)
        there = Endpoint("10.96.0.1", 80)
        yield record(0, "client", "/p", client=client, server=there, port=41000 + n)
        yield record(0, "server", "/p", client=client, server=server, port=41000 + n)


def workloads() -> Iterator[Record]:
    caller = Endpoint("10.2.0.9", 42000, 7, "till-1", "shop", "till", {"app": "till"})
    server = Endpoint("10.2.0.2", 8080, 8, "orders-1", "shop", "orders", {"app": "orders"})
    for n in range(4):
        yield record(n, "server", f"/api/users/{n}", client=caller, server=server, port=42000)


def incomplete() -> Iterator[Record]:
    """No response; no request; a path and a host that are not text."""
    yield record(0, "server", "/slow", status=None, port=43000, start=NOON + 60_000_000_000)
    unseen = record(1, "server", port=43000, start=NOON + 61_000_000_000)
    yield replace(unseen, request=None, completeness="request-not-seen")
    yield record(2, "server", b"/\xff\xfe", host=b"\xff.example", port=43000, start=NOON + 62_000_000_000)


if __name__ == "__main__":
    make(sys.argv[1])
