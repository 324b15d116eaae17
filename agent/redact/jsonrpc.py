"""The calls of a JSON-RPC 2.0 message or batch, among them MCP's, and how each was answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MCP = re.compile(
    r"(?:tools|resources|prompts|completion|logging|notifications|roots|sampling|elicitation|tasks)/[\w/]{1,40}"
)
"""Methods of the Model Context Protocol but `initialize` and `ping`, which other protocols have as well."""
NAMED = frozenset({"tools/call", "prompts/get"})
"""MCP's methods whose parameter `name` is a tool's or a prompt's."""


@dataclass(frozen=True, slots=True)
class RpcCall:
    """`id` is None in a notification, which is not answered. `subject` is the tool or prompt of MCP."""

    id: str | int | None
    method: str
    is_mcp: bool
    subject: str | None


def calls(message: Any, is_mcp: bool) -> Iterator[RpcCall]:
    """The calls in a message or batch. `is_mcp`: its headers say so. Anything else is passed over."""
    for one in message if isinstance(message, list) else (message,):
        if isinstance(one, dict) and isinstance(one.get("method"), str) and "jsonrpc" in one:
            yield _call(one, is_mcp)


def _call(one: dict[str, Any], is_mcp: bool) -> RpcCall:
    method, params = one["method"], one.get("params")
    given = params if isinstance(params, dict) else {}
    is_mcp = (
        is_mcp or MCP.fullmatch(method) is not None or (method == "initialize" and "protocolVersion" in given)
    )
    subject = given.get("name") if is_mcp and method in NAMED else None
    return RpcCall(_id(one), method, is_mcp, subject if isinstance(subject, str) else None)


def failures(answers: Iterable[Any]) -> dict[str | int, bool]:
    """By id, whether the call failed: an error, or a tool's result with isError."""
    found: dict[str | int, bool] = {}
    for message in answers:
        for one in message if isinstance(message, list) else (message,):
            id = _id(one) if isinstance(one, dict) else None
            if id is not None and ("error" in one or "result" in one):
                result = one.get("result")
                told = isinstance(result, dict) and result.get("isError") is True
                found[id] = "error" in one or told
    return found


def _id(one: dict[str, Any]) -> str | int | None:
    id = one.get("id")
    return id if isinstance(id, (str, int)) and not isinstance(id, bool) else None
