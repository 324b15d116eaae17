"""A server with something to see: several APIs over three days, called by several consumers, with
specifications from which some of their calls deviate, deprecated and undocumented operations, and agents.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from agent.wire import Body, Capture, Endpoint, Record
from tests.server.records import MS, record
from tests.server.running import Client, wait_for
from tests.server.ui.shop import describe

HOUR_NS = 3600 * 1000 * MS
SERVICES = ("orders", "users", "payments", "catalog", "shipping", "reviews")
SPECIFIED = 4  # the first ones
CONSUMERS = ("shop-web/3.2", "mobile-ios/7.1", "legacy-cron/1.0", "okhttp/4.12")
ITEM = b'{"id": 7, "customer": "ann", "items": [{"sku": "cup", "quantity": 2}], "total": 12.0}'
WRONG = (
    b'{"id": 7, "items": [{"sku": "cup", "quantity": "two"}, {"sku": "jar", "quantity": 1}], "total": "9"}'
)
CALLS: tuple[tuple[str, str, int, bytes], ...] = (
    ("GET", "/v1/{0}/17", 200, ITEM),
    ("GET", "/v1/{0}/18", 200, WRONG),
    ("GET", "/v1/{0}?limit=5", 200, b"[]"),
    ("POST", "/v1/{0}", 201, ITEM),
    ("GET", "/v1/{0}?colour=red", 200, b"[]"),
    ("GET", "/v1/{0}/19", 404, b'{"error": "none"}'),
    ("GET", "/v1/{0}/export", 200, b"[]"),
    ("GET", "/internal/debug", 200, b"{}"),
    ("DELETE", "/v1/{0}/20", 503, b"{}"),
)


def document(name: str) -> dict[str, Any]:
    """The specification of a service."""
    item = {"$ref": "#/components/schemas/Item"}
    one = {"200": _answer(item), "404": {"description": "None"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{name.capitalize()} API", "version": "1.6.0"},
        "servers": [{"url": f"http://{name}.shop.internal"}],
        "tags": [{"name": "items"}, {"name": "reports"}],
        "paths": {
            f"/v1/{name}": {
                "get": {
                    "tags": ["items"],
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                    "responses": {"200": _answer({"type": "array", "items": item})},
                },
                "post": {"tags": ["items"], "responses": {"201": _answer(item)}},
            },
            f"/v1/{name}/{{id}}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "get": {"tags": ["items"], "operationId": "getItem", "responses": one},
                "delete": {"tags": ["items"], "responses": {"204": {"description": "Gone"}}},
            },
            f"/v1/{name}/export": {
                "get": {"tags": ["reports"], "deprecated": True, "responses": {"200": {"description": "All"}}}
            },
            f"/v1/{name}/archive": {
                "get": {"tags": ["reports"], "responses": {"200": {"description": "Old"}}}
            },
        },
        "components": {
            "schemas": {
                "Item": {
                    "type": "object",
                    "required": ["id", "customer", "items"],
                    "properties": {
                        "id": {"type": "integer"},
                        "customer": {"type": "string"},
                        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                        "total": {"type": "number"},
                    },
                },
                "Line": {
                    "type": "object",
                    "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
                },
            }
        },
    }


def _answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Fine", "content": {"application/json": {"schema": schema}}}


def calls(rounds: int, now: int) -> list[Record]:
    """Each service's calls, `rounds` times over the three days until `now` (ns)."""
    found = []
    for n in range(rounds * len(SERVICES) * len(CALLS)):
        turn, call = divmod(n, len(CALLS))
        service = turn % len(SERVICES)
        method, path, status, body = CALLS[call]
        age = (rounds * len(SERVICES) - 1 - turn) * 60 * HOUR_NS // (rounds * len(SERVICES))
        view = record(
            n,
            path=path.format(SERVICES[service]),
            method=method,
            status=status,
            host=f"{SERVICES[service]}.shop.internal".encode(),
            server=Endpoint("10.0.0.7", 8000 + service, 1),
            start=now - age - HOUR_NS // 60,
            took=(2 + n * 7 % 50) * MS,
        )
        assert view.response is not None
        response = replace(view.response, body=Body(len(body), body, "complete"))
        consumer = replace(view.consumer, user_agent=CONSUMERS[(turn + call) % len(CONSUMERS)])
        found.append(replace(view, response=response, consumer=consumer))
    return found


def furnish(client: Client, rounds: int = 3) -> None:
    """Fills a server, and waits until everything is judged."""
    client.send(*calls(rounds, time.time_ns()))
    for name in SERVICES[:SPECIFIED]:
        api = next(one for one in client.items("/apis") if f"{name}.shop.internal" in one["hosts"])
        describe(client, document(name), f"/apis/{api['id']}/spec")
    client.report(Capture("everything", 300))
    wait_for(lambda: all_judged(client), "verdicts")


def all_judged(client: Client) -> bool:
    """Whether every call of a specified API has a verdict."""
    apis = [one for one in client.items("/apis") if one["specs"]]
    return len(apis) == SPECIFIED and all(
        sum(one["verdicts"].values()) == one["exchanges"] and one["verdicts"].get("conforming")
        for one in apis
    )
