"""Refused requests and probes teach nothing of what an API accepts, only how it answers."""

from __future__ import annotations

import json
import random
from string import ascii_lowercase as LETTERS
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Consumer, Record
from server.analysis.rebuild.references import resolved
from tests.server.analysis.rebuild.traffic import deviations, rebuilt
from tests.server.analysis.specs.judging.test_fault_traffic import (
    GOOD,
    HOST,
    KEY,
    METHODS,
    WORDS,
    correct,
    wrong_requests,
)
from tests.server.analysis.specs.spec_calls import body, call

REFUSALS = (400, 401, 403, 404, 405, 409, 410, 412, 415, 422, 423, 429, 451, 500, 502, 503)
PROBLEM = {"error": "no"}


def accepted() -> list[Record]:
    """Calls of correct clients with a key."""
    said: dict[str, Any] = {"headers": (HOST, KEY)}
    records = []
    for number in range(60):
        order = GOOD | {"count": number + 1, "size": "sml"[number % 3]}
        query = b"limit=%d&sort=%s" % (number % 50, (b"up", b"down")[number % 2])
        records += [
            call("POST", b"/orders", 201, sent=body(order), answer=body({"id": number}), **said),
            call("GET", b"/orders", query=query, answer=body([order]), **said),
            call("GET", b"/orders/%d" % number, answer=body(order), **said),
        ]
    keyed = Consumer(credential_scheme="api-key", facts={"in": "header", "name": "x-key"})
    return [replace(one, consumer=keyed) for one in records]


def refused() -> list[Record]:
    """Wrong requests of buggy clients and tools, some with credentials of other kinds, none accepted."""
    found = [one for status in REFUSALS for one in wrong_requests(status, PROBLEM)]
    schemes = (None, "basic", "bearer")
    return [
        replace(one, consumer=Consumer(credential_scheme=schemes[place % 3]))
        for place, one in enumerate(found)
    ]


def probes() -> list[Record]:
    """A scanner's calls of unknown paths and methods."""
    paths = [*WORDS, *(f"/{chr(97 + n % 26)}{n}/backup.zip" for n in range(200))]
    found = []
    for path in paths:
        for method in METHODS:
            for status in (correct(method, path), 401, 405, 429, 503):
                found.append(call(method, path.encode(), status, answer=body(PROBLEM)))
    found += [call(method, b"/orders", 405) for method in ("PUT", "DELETE", "PATCH", "HEAD")]
    return found


def requests(document: dict[str, Any]) -> dict[str, Any]:
    """What a document accepts: everything of its operations but the answers, references resolved."""

    def whole(node: Any) -> Any:
        if isinstance(node, dict):
            node = resolved(document, node)
            return {key: whole(value) for key, value in node.items()}
        return [whole(one) for one in node] if isinstance(node, list) else node

    schemes = document["components"]["securitySchemes"]
    return {
        path: {
            method: whole({key: part for key, part in operation.items() if key != "responses"})
            for method, operation in item.items()
        }
        for path, item in document["paths"].items()
    } | {"schemes": schemes}


def test_refused_requests_and_probes_leave_what_is_accepted_unchanged() -> None:
    records = accepted() + refused() + probes()
    random.Random(7).shuffle(records)
    assert requests(rebuilt(records)) == requests(rebuilt(accepted()))


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refused_request_adds_nothing_and_its_answer_is_described(status: int) -> None:
    wrong = wrong_requests(status, PROBLEM)
    found = rebuilt(accepted() + wrong)
    assert requests(found) == requests(rebuilt(accepted()))
    for path, method in (("/orders", "get"), ("/orders", "post")):
        answer = found["paths"][path][method]["responses"][str(status)]
        assert json.dumps(answer["content"]).count("error")
    assert deviations(found, wrong) == []


def test_a_long_scan_makes_no_room_at_the_cost_of_what_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.analysis.rebuild.path_operations.MOST_LEAVES", 200)
    chance = random.Random(5)
    names = ["".join(chance.choices(LETTERS[:16], k=7)) for _ in range(40)]
    users = [call("GET", f"/users/{name}".encode(), answer=body({"name": name})) for name in names]
    scan = [call("GET", f"/{a}{b}xyz".encode(), 404, answer=body(PROBLEM)) for a in LETTERS for b in LETTERS]
    few, more = users[:8], users[8:]  # the few alone are values of one parameter, all of them are words
    assert [*rebuilt(few)["paths"]] == ["/users/{userName}"]
    assert rebuilt(few + scan + more)["paths"].keys() == rebuilt(users)["paths"].keys()
