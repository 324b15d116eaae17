"""A request's body, bounded in memory."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request

from server.api.errors import Problem


async def bounded_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes. Raises Problem (413)."""
    too_large = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)
