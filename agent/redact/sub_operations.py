"""What an exchange asked for within one path: operations of GraphQL, calls of JSON-RPC and of MCP.

They are read of what redaction has left, so a name is never more than what the record has in its body or
query anyway. A body that is cut, masked or malformed has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from agent import wire
from agent.redact import graphql, jsonrpc

MOST = 50  # of one exchange
MAX_EVENTS = 200  # of one event stream, in which answers are looked for
MAX_QUERY = 16 * 1024  # bytes of a query that are read
MAX_FIELDS = 100  # of a query
UNNAMED = ""

_NAME = re.compile(r"[\w$.:/-]{1,100}", re.ASCII)
_MASKED = re.compile(r"redactedx*")
_JSON = re.compile(r"application/(?:json|[\w.-]+\+json)(?:\s*;.*)?", re.IGNORECASE)
_GRAPHQL = "application/graphql"
_EVENTS = "text/event-stream"
_FAILED = 400  # the lowest status of a failure


def found(request: wire.Request | None, response: wire.Response | None) -> tuple[wire.SubOperation, ...]:
    """The sub-operations of a redacted exchange in the order of the request; never raises."""
    if request is None:
        return ()
    data = request.body.data if request.body.state == "complete" else None
    if data and _JSON.fullmatch(request.content_type or ""):
        if b'"jsonrpc"' in data:
            return _rpc(request, data, response)
        if b'"query"' in data or b'"operationName"' in data:
            return _graphql(_parsed(data), response)
    elif data and (request.content_type or "").startswith(_GRAPHQL):
        return _graphql({"query": data.decode(errors="replace")}, response)
    elif request.query and (b"query=" in request.query or b"operationName=" in request.query):
        return _graphql(_fields(request.query), response)
    return ()


def _graphql(asked: Any, response: wire.Response | None) -> tuple[wire.SubOperation, ...]:
    requests = asked[:MOST] if isinstance(asked, list) else [asked]
    operations = [_operation(one) for one in requests]
    if None in operations:
        return ()
    answers = _answer(response)
    each = answers if isinstance(asked, list) and isinstance(answers, list) else [answers] * len(operations)
    return tuple(
        wire.SubOperation(
            "graphql", one[0], one[1], _is_failed(each[at] if at < len(each) else None, response)
        )
        for at, one in enumerate(operations)
        if one is not None
    )


def _operation(asked: Any) -> tuple[str, str] | None:
    """Kind and name of what one GraphQL request executes; None if it is none."""
    if not isinstance(asked, dict):
        return None
    document, name = asked.get("query"), asked.get("operationName")
    name = name if isinstance(name, str) and name else None
    if not isinstance(document, str) or not document:  # persisted: the server has the document
        is_persisted = "extensions" in asked or "id" in asked or "documentId" in asked
        return ("persisted", _shown(name)) if name is not None and is_persisted else None
    written = graphql.operations(document)
    if not written:
        return None
    one = next((each for each in written if each.name == name), written[0] if len(written) == 1 else None)
    if one is None:
        return ("unknown", UNNAMED if name is None else _shown(name))
    return one.kind, _roots(one.roots) if one.name is None else _shown(one.name)


def _roots(names: tuple[str, ...]) -> str:
    """The name of an operation without one: its root fields, which do not change with their order."""
    shown = [_shown(name) for name in names[: graphql.MAX_ROOTS]]
    more = ["…"] if len(names) > graphql.MAX_ROOTS else []
    return "{" + ", ".join(shown + more) + "}" if shown else UNNAMED


def _is_failed(answer: Any, response: wire.Response | None) -> bool | None:
    if isinstance(answer, dict) and ("errors" in answer or "data" in answer):
        return bool(answer.get("errors"))
    return True if response is not None and response.status >= _FAILED else None


def _rpc(request: wire.Request, data: bytes, response: wire.Response | None) -> tuple[wire.SubOperation, ...]:
    is_mcp = any(name.startswith(b"mcp-") for name, _ in request.headers)
    calls = [call for _, call in zip(range(MOST), jsonrpc.calls(_parsed(data), is_mcp), strict=False)]
    if not calls:
        return ()
    failures = jsonrpc.failures(_answers(response))
    refused = True if response is not None and response.status >= _FAILED else None
    return tuple(
        wire.SubOperation(
            "mcp" if call.is_mcp else "jsonrpc",
            "notification" if call.id is None else "call",
            _shown(call.method) if call.subject is None else f"{_shown(call.method)} {_shown(call.subject)}",
            refused if call.id is None else failures.get(call.id, refused),
        )
        for call in calls
    )


def _shown(name: str) -> str:
    """A name as it may be counted: what is no name is none, and what was masked is alike."""
    if _MASKED.fullmatch(name):
        return "redacted"
    return name if _NAME.fullmatch(name) else UNNAMED


def _answers(response: wire.Response | None) -> Iterator[Any]:
    """The JSON of a response: its body, or the data of each of its events."""
    if response is None or response.body.data is None:
        return
    if not (response.content_type or "").startswith(_EVENTS):
        yield _parsed(response.body.data)
        return
    for event in response.body.data.replace(b"\r\n", b"\n").split(b"\n\n", MAX_EVENTS)[:MAX_EVENTS]:
        lines = (line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
        yield _parsed(b"\n".join(lines))


def _answer(response: wire.Response | None) -> Any:
    return next(_answers(response), None)


def _fields(query: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(query[:MAX_QUERY].decode("latin-1"), max_num_fields=MAX_FIELDS))
    except ValueError:  # too many fields
        return {}


def _parsed(data: bytes) -> Any:
    """JSON; None for anything else, and for what is nested too deeply."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
