"""Calls of JSON-RPC and MCP, and how they were answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact.jsonrpc import RpcCall, calls, failures


def asked(method: str, id: object = 1, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (asked("eth_call"), [RpcCall(1, "eth_call", False, None)]),
        (asked("eth_call", "a"), [RpcCall("a", "eth_call", False, None)]),
        ({"jsonrpc": "2.0", "method": "log"}, [RpcCall(None, "log", False, None)]),
        ([asked("a", 1), asked("b", 2)], [RpcCall(1, "a", False, None), RpcCall(2, "b", False, None)]),
        (asked("tools/call", name="search"), [RpcCall(1, "tools/call", True, "search")]),
        (asked("prompts/get", name="greet"), [RpcCall(1, "prompts/get", True, "greet")]),
        (asked("resources/read", uri="file:///etc/x"), [RpcCall(1, "resources/read", True, None)]),
        (asked("tools/list"), [RpcCall(1, "tools/list", True, None)]),
        (asked("notifications/initialized", None), [RpcCall(None, "notifications/initialized", True, None)]),
        (asked("initialize", protocolVersion="2025-06-18"), [RpcCall(1, "initialize", True, None)]),
        (asked("initialize", rootUri="x"), [RpcCall(1, "initialize", False, None)]),  # a language server's
        (asked("rename", name="x"), [RpcCall(1, "rename", False, None)]),
        (asked("a", True), [RpcCall(None, "a", False, None)]),
        (asked("tools/call", name=5), [RpcCall(1, "tools/call", True, None)]),
        (
            {"jsonrpc": "2.0", "method": "tools/call", "id": 1, "params": []},
            [RpcCall(1, "tools/call", True, None)],
        ),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, []),  # an answer to the server
        ({"method": "a", "id": 1}, []),
        ({"jsonrpc": "2.0", "method": 5}, []),
        ([[asked("a")], 5, None, "x"], []),
        (None, []),
    ],
)
def test_a_message_or_batch_has_these_calls(message: object, expected: list[RpcCall]) -> None:
    assert list(calls(message, is_mcp=False)) == expected


def test_headers_of_mcp_make_every_call_one() -> None:
    assert [call.is_mcp for call in calls(asked("ping"), is_mcp=True)] == [True]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{"id": 1, "result": {}}], {1: False}),
        ([{"id": 1, "error": {"code": -32601}}], {1: True}),
        ([{"id": "a", "result": {"isError": True, "content": []}}], {"a": True}),
        ([{"id": 1, "result": {"isError": False}}], {1: False}),
        ([[{"id": 1, "result": 5}, {"id": 2, "error": {}}]], {1: False, 2: True}),
        ([{"method": "notifications/progress"}, {"id": 7, "result": None}], {7: False}),
        ([{"id": 1, "method": "sampling/createMessage"}], {}),  # the server asks
        ([{"id": None, "error": {}}, None, 5, [None]], {}),
    ],
)
def test_answers_say_by_id_what_failed(answers: list[object], expected: dict[object, bool]) -> None:
    assert failures(answers) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "id", "method", "params", "name", "result", "error", "isError", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.booleans())
def test_any_json_is_calls_and_answers_and_never_an_exception(message: object, is_mcp: bool) -> None:
    assert all(isinstance(call.method, str) for call in calls(message, is_mcp))
    assert all(isinstance(failed, bool) for failed in failures([message]).values())
