"""`/mcp`: the Model Context Protocol over HTTP, for assistants; nothing is kept between requests.

A tool's call reads routes of the API within the same application, in the name of its own request: with its
token, its session and its user on this machine. So it may read what that request may, and no more.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from fastapi import Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.errors import Problem
from server.api.gate import TokenRole, require
from server.mcp.answering import Ask, Params, ToolError

MOST_BODY = 64 * 1024  # bytes of a request
PASSED = frozenset({b"authorization", b"cookie", b"host"})  # of a request, to the routes it reads
OF_A_REQUEST = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "state")
MISSING = "this server was installed without the extra mcp: install spectap with the extras server,mcp"


class McpEndpoint:
    """Speaks the protocol for an application, from the first request on: its SDK takes 32 MB."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._starting = asyncio.Lock()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sessions: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._starting:
            if self._sessions is None:
                await self._start()
        await self._sessions.handle_request(scope, receive, send)

    async def stop(self) -> None:
        """Ends what runs."""
        self._ended.set()
        if self._task is not None:
            await self._task

    async def _start(self) -> None:
        protocol = await run_in_threadpool(import_module, "server.mcp.protocol")
        manager = await run_in_threadpool(import_module, "mcp.server.streamable_http_manager")
        sessions = manager.StreamableHTTPSessionManager(
            protocol.protocol(self._asker),
            json_response=True,
            stateless=True,
            max_request_body_size=MOST_BODY,
        )
        started = asyncio.Event()
        self._task = asyncio.create_task(self._run(sessions, started))
        await started.wait()
        self._sessions = sessions

    async def _run(self, sessions: Any, started: asyncio.Event) -> None:
        async with sessions.run():
            started.set()
            await self._ended.wait()

    def _asker(self, request: Request) -> Ask:
        async def ask(path: str, params: Params) -> bytes:
            query = f"?{urlencode(params)}" if params else ""
            status, headers, body = await _got(self._app, request.scope, f"/api/v1{path}{query}")
            if status == HTTPStatus.PERMANENT_REDIRECT:  # an earlier id
                status, headers, body = await _got(self._app, request.scope, headers["location"])
            if status != HTTPStatus.OK:
                raise ToolError(_detail(body) or f"the server answers {status}")
            return body

        return ask


async def _got(app: ASGIApp, scope: Scope, url: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what an application answers to GET, in the name of a request."""
    parts, body = urlsplit(url), bytearray()
    start: Message = {}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        start.update(message)
        body.extend(message.get("body", b""))

    inner = {name: scope[name] for name in OF_A_REQUEST if name in scope}
    inner |= {
        "method": "GET",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name, value) for name, value in scope["headers"] if name in PASSED],
    }
    await app(inner, receive, send)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in start.get("headers", ())}
    return int(start["status"]), headers, bytes(body)


def _detail(body: bytes) -> str:
    """The detail of a problem document."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("detail", "")) if isinstance(found, dict) else ""


class _Delegated(Response):
    """The response of an endpoint, which reads the request itself."""

    def __init__(self, endpoint: McpEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)


def install(app: FastAPI) -> McpEndpoint:
    """Adds the route to an application. Stop what it returns with the application."""
    endpoint = McpEndpoint(app)

    @app.post("/mcp", include_in_schema=False, dependencies=[Depends(require(TokenRole.ADMIN))])
    async def mcp() -> Response:
        if find_spec("mcp") is None:
            raise Problem(HTTPStatus.NOT_IMPLEMENTED, MISSING)
        return _Delegated(endpoint)

    return endpoint
