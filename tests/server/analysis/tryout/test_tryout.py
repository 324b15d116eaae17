"""Calls that a proposed document would break."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from server.analysis.specs.load import load
from server.analysis.specs.specification import Specification
from server.analysis.tryout import tryout as module
from server.analysis.tryout.tryout import TriedExchange, Tryout, TryoutConsumer
from tests.server.records import record

CURL, APP, OTHER = (TryoutConsumer("user-agent", name) for name in ("curl", "app", "other"))
ANSWER = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}


def proposal(**paths: Any) -> Specification:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "2"},
        "paths": {f"/{name}": item for name, item in paths.items()},
    }
    return load(json.dumps(document).encode())


def exchange(path: str, consumer: TryoutConsumer = CURL, number: int = 0, **changed: Any) -> TriedExchange:
    one = replace(record(number, path=path), **changed)
    return TriedExchange(one.id, f"GET {path.partition('?')[0]}", consumer, (), one)


def test_a_call_breaks_where_it_deviates_from_the_proposal_and_does_not_now() -> None:
    tryout = Tryout(proposal(users={"get": {"responses": ANSWER}}))
    gone = exchange("/orders")
    for one in (exchange("/users"), gone, exchange("/orders", APP, 1)):
        tryout.add(one)
    (difference,) = tryout.broken
    assert (difference.operation, difference.kind) == ("GET /orders", "unknown-path")
    assert (tryout.broken[difference].calls, tryout.broken[difference].consumers) == (2, {CURL, APP})
    assert (tryout.replayed, tryout.breaking) == (3, 2)
    known = [one.identity("GET /orders") for one in proposal().match(gone.record).deviations]
    again = Tryout(proposal())
    again.add(TriedExchange(gone.id, gone.operation, CURL, known, gone.record))
    assert (again.replayed, again.breaking) == (1, 0)


def test_the_calls_of_an_operation_are_extrapolated_only_where_not_all_were_replayed() -> None:
    required = {"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}}
    tryout = Tryout(proposal(users={"get": {"parameters": [required], "responses": ANSWER}}))
    for i, path in enumerate(["/users?page=1", "/users?page=2", "/users?page=3", "/users"]):
        tryout.add(exchange(path, number=i))
    found = {one["operation"]: one for one in tryout.operations({"GET /users": 1000, "GET /silent": 7})}
    users, silent = found["GET /users"], found["GET /silent"]
    assert (users["replayed"], users["broken"], users["estimated"], users["extrapolated"]) == (
        4,
        1,
        250,
        True,
    )
    assert (silent["replayed"], silent["estimated"], silent["extrapolated"]) == (0, None, True)
    (all_of_them,) = tryout.operations({"GET /users": 4})
    assert (all_of_them["estimated"], all_of_them["extrapolated"]) == (1, False)


def test_consumers_are_listed_with_what_of_theirs_breaks_most_affected_first() -> None:
    tryout = Tryout(proposal(users={"get": {"responses": ANSWER}}))
    calls = [("/users", CURL), ("/orders", CURL), ("/orders", APP), ("/items", APP), ("/users", OTHER)]
    for i, (path, consumer) in enumerate(calls):
        tryout.add(exchange(path, consumer, i))
    assert [
        (one["name"], one["replayed"], one["broken"], one["operations"]) for one in tryout.consumers()
    ] == [
        ("app", 2, 2, ["GET /items", "GET /orders"]),
        ("curl", 2, 1, ["GET /orders"]),
    ]


def test_differences_and_samples_are_bounded_and_the_rest_is_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MAX_DIFFERENCES", 2)
    tryout = Tryout(proposal())
    for i in range(9):
        tryout.add(exchange(f"/p{chr(97 + i % 3)}", number=i))
    assert [(found.calls, len(found.samples)) for found in tryout.broken.values()] == [(3, 3), (3, 3)]
    assert (tryout.unlisted, tryout.breaking) == (3, 9)
