"""A call of a tool is one GET of the API, checked before and bounded after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.mcp.answering import NOTE, PART, Params, ToolError, answer
from server.mcp.bounds import MOST_CHARACTERS
from server.mcp.tools import BY_NAME

Asked = list[tuple[str, dict[str, str]]]


def call(
    name: str, arguments: dict[str, Any], reply: Callable[[str, Params], Any] = lambda _, __: {}
) -> tuple[Any, Asked]:
    """The result of a call, and what was asked of the server."""
    asked: Asked = []

    async def ask(path: str, params: Params) -> bytes:
        asked.append((path, {**params}))
        found = reply(path, params)
        return found if isinstance(found, bytes) else json.dumps(found).encode()

    return json.loads(asyncio.run(answer(BY_NAME[name], arguments, ask))), asked


def refused(name: str, arguments: dict[str, Any], reply: Any = None) -> str:
    with pytest.raises(ToolError) as error:
        call(name, arguments, lambda _, __: reply if reply is not None else {})
    return str(error.value)


def test_arguments_become_a_path_and_parameters() -> None:
    page = {"items": [{"id": "a"}], "next": "c2"}
    found, asked = call("list_deviations", {"query": "api:x", "sort": "-count", "limit": 3}, lambda *_: page)
    assert asked == [("/deviations", {"q": "api:x", "sort": "-count", "limit": "3"})]
    assert found == {"note": NOTE, "items": [{"id": "a"}], "next": "c2"}
    found, asked = call("get_exchange", {"exchange": "a%b:c"}, lambda *_: {"id": "a"})
    assert asked == [("/exchanges/a%25b%3Ac", {})]
    assert found == {"note": NOTE, "result": {"id": "a"}}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("list_apis", {"qeury": "x"}, "no argument 'qeury'; it takes: query, sort, limit, cursor"),
        ("get_exchange", {}, "needs the argument exchange"),
        ("get_exchange", {"exchange": ""}, "needs the argument exchange"),
        ("get_exchange", {"exchange": "../apis"}, "exchange is an id, as another tool answers it"),
        ("get_exchange", {"exchange": ".."}, "exchange is an id, as another tool answers it"),
        ("get_exchange", {"exchange": 7}, "exchange is a text"),
        ("list_apis", {"limit": 0}, "limit is a whole number from 1 to 100"),
        ("list_apis", {"limit": True}, "limit is a whole number from 1 to 100"),
        ("list_apis", {"limit": "5"}, "limit is a whole number from 1 to 100"),
        ("list_apis", {"query": "x" * 4001}, "query has at most 4000 characters"),
        ("list_operations", {"state": "old"}, "state is one of shadow, zombie, unused"),
        ("get_specification", {"api": "a", "cursor": "-1"}, "cursor is `next` of the previous answer"),
    ],
)
def test_wrong_arguments_are_named_with_the_right_ones(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    assert message in refused(name, arguments)


def test_a_list_that_is_too_large_has_fewer_items_and_the_right_cursor() -> None:
    wide = {f"m{number}": "x" * 400 for number in range(50)}

    def reply(_: str, params: Params) -> Any:
        count = int(params["limit"])
        return {"items": [wide] * count, "next": f"after {count}"}

    found, asked = call("list_exchanges", {"limit": 40}, reply)
    assert [one["limit"] for _, one in asked] == ["40", "20", "10", "5", "2"]
    assert (len(found["items"]), found["next"]) == (2, "after 2")
    assert len(json.dumps(found, ensure_ascii=False)) <= MOST_CHARACTERS


def test_one_item_that_is_too_large_is_cut() -> None:
    item = {f"m{number}": ["x" * 300] * 20 for number in range(50)}
    found, _ = call("list_exchanges", {"limit": 1}, lambda *_: {"items": [item], "next": "c"})
    assert found["result"]["next"] == "c"
    assert len(json.dumps(found, ensure_ascii=False)) <= MOST_CHARACTERS


def test_a_text_is_read_part_by_part_without_loss() -> None:
    whole = "".join(f"line {number} ä\n" for number in range(9_000))
    parts, arguments = [], {"api": "a"}
    while True:
        found, asked = call("get_specification", arguments, lambda *_: whole.encode())
        assert asked == [("/apis/a/spec", {})]
        assert len(found["text"]) <= PART
        parts.append(found["text"])
        if found["next"] is None:
            break
        arguments = {"api": "a", "cursor": found["next"]}
    assert "".join(parts) == whole
    assert len(parts) > 1


def test_coverage_is_without_operations_unless_one_is_asked_for() -> None:
    report = {"total": 2, "hit": 1, "operations": [{"operation": "GET /a"}, {"operation": "GET /b"}]}
    found, asked = call("get_coverage", {"api": "x", "tag": "t"}, lambda *_: report)
    assert asked == [("/apis/x/coverage", {"tag": "t"})]
    assert found["result"] == {"total": 2, "hit": 1}
    found, asked = call("get_coverage", {"api": "x", "operation": "GET /b"}, lambda *_: report)
    assert asked == [("/apis/x/coverage", {})]
    assert found["result"] == {"operation": "GET /b"}
    assert "no such operation" in refused("get_coverage", {"api": "x", "operation": "GET /c"}, report)


@pytest.mark.parametrize("raw", [b"<html>", b"[1]", b"[" * 100_000, b'{"items": 1}'])
def test_an_answer_that_is_none_of_a_server_is_an_error(raw: bytes) -> None:
    assert "the server" in refused("list_apis", {}, raw)
