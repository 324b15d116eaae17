"""How answers travel: to HEAD without a body, not again if the client has them, and compressed.

Compression can reveal a secret to one who chooses a part of the same answer and sees its size on the
wire (BREACH). Here other sites make no requests with a session, whose cookie is SameSite=Strict; no page
has a secret; and the only answers with one, of tokens, answer POST: those are not compressed.
"""

from __future__ import annotations

from hashlib import blake2b

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 1000  # bytes that are worth compressing
LEVEL = 4  # of 9: higher ones take longer and gain little on JSON
DOCUMENT = "/openapi.json"


def install(app: FastAPI) -> None:
    """Delivers all answers of an application, outside of what was added before."""
    app.add_middleware(Revalidated)
    app.add_middleware(Compressed, minimum_size=SMALLEST, compresslevel=LEVEL)
    app.add_middleware(HeadAsGet)


class HeadAsGet:
    """Answers HEAD like GET, wherever there is GET. The HTTP server leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


class Compressed(GZipMiddleware):
    """Compresses answers to GET for clients that accept it; never event streams."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        through = scope["type"] == "http" and scope["method"] == "GET"
        await (super().__call__ if through else self.app)(scope, receive, send)


class Revalidated:
    """Gives each answer of the API that is whole an ETag, and answers 304 if the client has it.

    The tag is of the content: an answer may change without a change of the database, with the time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _is_ours(scope["path"]):
            send = _Tagged(Headers(scope=scope).get("if-none-match", ""), send)
        await self._app(scope, receive, send)


class _Tagged:
    """Holds the start of a response back until its body is known to be whole."""

    def __init__(self, known: str, send: Send) -> None:
        self._known = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if start["status"] == 200 and not message.get("more_body", False):
                message = self._tag(start, message)
            await self._send(start)
        await self._send(message)

    def _tag(self, start: Message, message: Message) -> Message:
        """Tags a response; the body to send."""
        tag = f'"{blake2b(message.get("body", b""), digest_size=16).hexdigest()}"'
        headers = MutableHeaders(raw=[*start["headers"]])
        headers["ETag"] = f"W/{tag}"
        headers.setdefault("Cache-Control", "private, no-cache")
        start["headers"] = headers.raw
        if not self._known & {tag, "*"}:
            return message
        start["status"] = 304
        for name in ("content-length", "content-type"):
            del headers[name]
        return {**message, "body": b""}


def _is_ours(path: str) -> bool:
    return path.startswith("/api/") or path == DOCUMENT
