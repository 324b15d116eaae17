"""What a record names of the operations within a body or query, and that no secret gets out by it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import wire
from agent.http.messages import BodyState, Headers
from agent.redact import sub_operations
from agent.wire import SubOperation, pack_record
from tests.agent.redact.redaction import JSON, body, record, request, response

GITHUB = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
EVENTS: Headers = ((b"content-type", b"text/event-stream"),)
MCP: Headers = (*JSON, (b"mcp-session-id", b"1"))


def packed(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def found(
    asked: Any, answered: Any = None, headers: Headers = JSON, status: int = 200
) -> list[tuple[Any, ...]]:
    kind = EVENTS if isinstance(answered, bytes) else JSON
    answer = replace(response(kind, body(packed(answered))), status=status)
    one = record(request(headers=headers, payload=body(packed(asked))), None if answered is None else answer)
    return [(each.protocol, each.kind, each.name, each.failed) for each in one.sub_operations]


def call(method: str, id: int | None = 1, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def query(document: str, **more: object) -> dict[str, Any]:
    return {"query": document, **more}


DATA = {"data": {"a": 1}}
BAD = {"errors": [{"message": "no"}], "data": None}
EVENT = b'event: message\r\ndata: {"jsonrpc": "2.0", "id": 1,\r\ndata: "result": {"isError": true}}\r\n\r\n'
TWO = query("query A { a } mutation B { b }")


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        (query("query GetUser { user { id } }"), DATA, [("graphql", "query", "GetUser", False)]),
        (query("mutation Pay { pay { id } }"), BAD, [("graphql", "mutation", "Pay", True)]),
        (query("{ b a }"), None, [("graphql", "query", "{a, b}", None)]),
        (query("{ d c b a }"), {}, [("graphql", "query", "{a, b, c, …}", None)]),
        (query("{ ...F }"), {}, [("graphql", "query", "", None)]),
        ({**TWO, "operationName": "B"}, DATA, [("graphql", "mutation", "B", False)]),
        (TWO, BAD, [("graphql", "unknown", "", True)]),
        (
            [query("query A { a }"), query("query B { b }")],
            [DATA, BAD],
            [("graphql", "query", "A", False), ("graphql", "query", "B", True)],
        ),
        (
            {"operationName": "GetUser", "extensions": {"persistedQuery": {"version": 1}}},
            DATA,
            [("graphql", "persisted", "GetUser", False)],
        ),
        (
            call("eth_call"),
            {"jsonrpc": "2.0", "id": 1, "result": 1},
            [("jsonrpc", "call", "eth_call", False)],
        ),
        (call("log", None), {}, [("jsonrpc", "notification", "log", None)]),
        (
            call("tools/call", name="search", arguments={}),
            {"jsonrpc": "2.0", "id": 1, "result": {"isError": True}},
            [("mcp", "call", "tools/call search", True)],
        ),
        (call("tools/call", name="search"), EVENT, [("mcp", "call", "tools/call search", True)]),
        (
            [call("a", 1), call("b", 2)],
            [{"id": 2, "error": {}}],
            [("jsonrpc", "call", "a", None), ("jsonrpc", "call", "b", True)],
        ),
        # not these protocols
        ({"query": "shoes"}, {}, []),
        ({"query": {"match_all": {}}}, {}, []),
        ({"operationName": "x"}, {}, []),
        ([query("{ a }"), {"query": "shoes"}], {}, []),
        ({"method": "a", "id": 1}, {}, []),
        (b'{"query": "{ a }"', {}, []),
        (b'{"jsonrpc": "2.0", "method": "a"', {}, []),
        (b"[" * 5000 + b'"jsonrpc"', {}, []),
    ],
)
def test_an_exchange_has_these_sub_operations(
    asked: Any, answered: Any, expected: list[tuple[Any, ...]]
) -> None:
    assert found(asked, answered) == expected


def test_what_http_refuses_has_failed() -> None:
    assert found(query("{ a }"), {}, status=400)[0][3] is True
    assert found(call("a"), {}, status=500)[0][3] is True


def test_a_header_of_mcp_names_the_protocol() -> None:
    assert found(call("ping"), headers=MCP) == [("mcp", "call", "ping", None)]


def test_graphql_in_a_query_or_a_body_of_its_own_type_is_read_too() -> None:
    def one(target: bytes, headers: Headers = (), data: bytes = b"") -> list[str]:
        made = record(request(target, headers, body(data), method=b"GET")).sub_operations
        return [each.name for each in made]

    assert one(b"/graphql?query=" + quote("query Me { me }").encode()) == ["Me"]
    assert one(b"/graphql?operationName=Me&extensions=%7B%7D") == ["Me"]
    assert one(b"/search?query=shoes") == []
    assert one(b"/graphql", ((b"content-type", b"application/graphql"),), b"query Me { me }") == ["Me"]


def test_a_body_that_was_cut_or_left_out_has_none() -> None:
    data = packed(call("a"))
    cut = record(request(headers=JSON, payload=body(data, BodyState.TRUNCATED)))
    assert cut.sub_operations == ()
    assert record(None, response(JSON, body(data))).sub_operations == ()


def test_no_more_are_kept_of_one_exchange_than_the_bound() -> None:
    most = sub_operations.MOST
    assert len(found([call(f"m{at}", at) for at in range(most + 9)])) == most
    assert len(found([query(f"query Q{at} {{ a }}") for at in range(most + 9)])) == most


@pytest.mark.parametrize(
    "asked",
    [
        call(GITHUB),
        call("tools/call", name=GITHUB),
        call("login", password="hunter2canary"),
        query(f"query {GITHUB} {{ a }}"),
        query(f"{{ {GITHUB} }}"),
        query(f"{{ a: {GITHUB} {{ b }} }}"),
        query("{ a }", operationName=GITHUB),
        {"operationName": GITHUB, "extensions": {}},
        query('mutation { login(password: "hunter2canary") { token } }'),
        query("query($password: String = hunter2canary) { a }"),
        [query(f"query {GITHUB} {{ a }}")],
    ],
    ids=str,
)
def test_a_name_that_is_a_secret_does_not_leave(asked: Any) -> None:
    assert any(secret in json.dumps(asked) for secret in (GITHUB, "hunter2canary"))
    one = record(request(headers=JSON, payload=body(packed(asked))))
    raw = pack_record(one)
    assert GITHUB.encode() not in raw
    assert b"hunter2canary" not in raw
    assert len(one.sub_operations) == 1
    assert all("redactedx" not in each.name for each in one.sub_operations)


@pytest.mark.parametrize("name", ["operationName", "query"])
def test_a_query_that_names_a_secret_does_not_let_it_leave(name: str) -> None:
    value = quote(GITHUB if name == "operationName" else f"query {GITHUB} {{ a }}")
    one = record(request(f"/graphql?extensions=%7B%7D&{name}={value}".encode(), method=b"GET"))
    assert GITHUB.encode() not in pack_record(one)


def test_names_are_of_few_characters_and_never_long() -> None:
    assert [name for *_, name, _ in found(call("a" * 101))] == [""]
    assert [name for *_, name, _ in found(call("a<b>"))] == [""]
    assert [name for *_, name, _ in found(call("a" * 100))] == ["a" * 100]


PIECES = [b'{"query":', b'"{ a }"', b'{"jsonrpc":"2.0","id":1,"method":', b'"a"', b"}", b"]", b"[", b","]
PIECES += [b'"operationName"', b":", b'"extensions"', b"data: ", b"\n\n", b"\xff", b"null", b'"\\ud800"']
RAW = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join) | st.binary(max_size=80)
BODIES = st.builds(wire.Body, st.none(), st.none() | RAW, st.sampled_from(["complete", "truncated", "gap"]))
KINDS = st.sampled_from(["application/json", "text/event-stream", "application/graphql", None])


@given(BODIES, BODIES, KINDS, KINDS, st.none() | RAW)
def test_any_bytes_are_sub_operations_and_never_an_exception(
    asked: wire.Body, answered: wire.Body, kind: str | None, other: str | None, query: bytes | None
) -> None:
    sent = wire.Request("POST", "http", None, b"/", query, (), (), asked, kind)
    for one in sub_operations.found(sent, wire.Response(200, (), (), answered, other)):
        assert isinstance(one, SubOperation)
        assert len(one.name) <= 400
