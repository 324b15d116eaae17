"""Scanners and buggy clients against a correct server and a lax one: no false alarm, and nothing missed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agent.wire import Record
from server.analysis.specs.model import Judgement
from tests.server.analysis.specs.spec_calls import body, call, operation, parameter, spec

ORDER = {
    "type": "object",
    "required": ["item", "count"],
    "additionalProperties": False,
    "properties": {
        "item": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        "count": {"type": "integer", "minimum": 1, "maximum": 100},
        "size": {"enum": ["s", "m", "l"]},
        "due": {"type": "string", "format": "date"},
        "photo": {"type": "string", "format": "byte"},
    },
}
PROBLEM = {"content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}}}
JSON = {"content": {"application/json": {"schema": ORDER}}}
SHOP = spec(
    {
        "/orders": {
            "get": operation(
                parameters=[
                    {**parameter("limit", "query", {"type": "integer", "maximum": 50}), "required": True},
                    {**parameter("sort", "query", {"enum": ["up", "down"]}), "required": False},
                ],
                responses={"200": {"description": "ok"}, "400": PROBLEM, "401": PROBLEM},
            ),
            "post": operation(
                requestBody={"required": True, **JSON},
                responses={"201": {"description": "made"}, "400": PROBLEM, "401": PROBLEM},
            ),
        },
        "/orders/{id}": {
            "get": operation(
                parameters=[parameter("id", "path", {"type": "integer"})],
                responses={"200": {"description": "ok"}, "400": PROBLEM, "401": PROBLEM, "404": PROBLEM},
            )
        },
    },
    components={"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-key"}}},
    security=[{"key": []}],
)
HOST, KEY = (b"host", b"shop"), (b"x-key", b"*")
GOOD: dict[str, Any] = {"item": "tea", "count": 2, "size": "m", "due": "2026-03-01", "photo": "aGk="}
WRONG_VALUES: dict[str, list[Any]] = {
    "item": ["", "Tea", 7, None, ["tea"], "tea'--"],
    "count": [0, 101, 2.5, "2", -1, None],
    "size": ["xl", 1],
    "due": ["1 March", "2026-13-01"],
    "photo": ["a b", "a-_="],
    "admin": [True],
    "__proto__": [{}],
}
WRONG_ORDERS: list[Any] = [
    *({name: value for name, value in GOOD.items() if name != gone} for gone in ("item", "count")),
    *(
        GOOD | {name: value}
        for name, values in WRONG_VALUES.items()
        for value in values
    ),
    [], "tea", None, 7, {},
]  # fmt: skip
WRONG_LISTS = [
    b"limit=51",
    b"limit=x",
    b"sort=up",
    b"limit=5&sort=left",
    b"limit=5&debug=1",
    b"limit=5,6",
    b"",
]
WRONG_IDS = [b"x", b"1.5", b"%27%20or%201=1", b"1e400x"]


def wrong_requests(status: int, answer: Any) -> list[Record]:
    said: dict[str, Any] = {"answer": body(answer), "headers": (HOST, KEY)}
    posted = [call("POST", b"/orders", status, sent=body(one), **said) for one in WRONG_ORDERS]
    posted += [call("POST", b"/orders", status, sent=body(raw), **said) for raw in (b"{", b"<a/>", b"")]
    posted.append(call("POST", b"/orders", status, sent=body(GOOD), sent_type="text/csv", **said))
    listed = [call("GET", b"/orders", status, query=query, **said) for query in WRONG_LISTS]
    found = [call("GET", b"/orders/" + id, status, **said) for id in WRONG_IDS]
    keyless = call("GET", b"/orders/7", status, **{**said, "headers": (HOST,)})
    return [*posted, *listed, *found, keyless]


def test_requests_accepted_though_wrong_are_all_found() -> None:
    wrong = wrong_requests(200, {}) + wrong_requests(201, {})
    missed = [one for one in wrong if SHOP.match(one).fault != "server-lax"]
    assert [
        (one.request and one.request.query, one.request and one.request.body.data) for one in missed
    ] == []
    assert len(wrong) >= 80


def test_a_buggy_client_of_a_correct_server_raises_no_alarm() -> None:
    refused = [SHOP.match(one) for one in wrong_requests(400, {"error": "no"})]
    assert {(one.verdict, one.fault, one.deviations) for one in refused} == {("conforming", "caller", ())}
    unready = [SHOP.match(one) for one in wrong_requests(401, {"error": "no"})]
    assert {(one.verdict, one.deviations) for one in unready} == {("unjudged", ())}


WORDS = [
    "/.env",
    "/.git/config",
    "/admin",
    "/wp-login.php",
    "/phpmyadmin/index.php",
    "/actuator/health",
    "/api/v1/users",
    "/server-status",
    "/orders.bak",
    "/orders/7/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/%00",
    "/orders%0d%0aSet-Cookie:x",
    "/console",
    "/.well-known/security.txt",
    "/swagger.json",
    "/v2/_catalog",
    "/cgi-bin/test.cgi",
    "/owa/",
    "/solr/admin",
]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PROPFIND", "OPTIONS", "PATCH")


def correct(method: str, path: str) -> int:
    """What a correct server answers to a path of no operation, or a method that its path lacks."""
    if re.search(r"\.\.|%00|%0d", path):
        return 400
    return 501 if method in ("TRACE", "PROPFIND") else 404


@pytest.mark.parametrize("guarded", [False, True])
def test_a_scanner_of_a_correct_server_raises_no_alarm(guarded: bool) -> None:
    """`guarded`: the server asks for credentials before it looks at the path."""
    judged: list[Judgement] = []
    for path in WORDS:
        for method in METHODS:
            status = 401 if guarded else correct(method, path)
            judged.append(SHOP.match(call(method, path.encode(), status, answer=body({"error": "no"}))))
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
        judged.append(SHOP.match(call(method, b"/orders", 401 if guarded else 405)))
    assert {(one.verdict, one.deviations) for one in judged} == {("unjudged", ())}
    assert len(judged) >= 180


def test_what_a_scanner_finds_is_a_shadow_each() -> None:
    for path in WORDS:
        assert SHOP.match(call("GET", path.encode(), 200, answer=body({}))).verdict == "shadow"


def test_nothing_captured_is_in_a_judgement_of_a_refused_request() -> None:
    for one in wrong_requests(400, {"error": "no"}):
        judgement = SHOP.match(one)
        assert not re.search("admin|proto|debug|tea", json.dumps(judgement.why))
