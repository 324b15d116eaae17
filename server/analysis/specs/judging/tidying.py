"""Answers that redirect to the same path in a tidier form, as many routers give."""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from agent.wire import Request, Response
from server.analysis.specs.judging.fault import REDIRECTS


def tidied(request: Request, response: Response) -> bytes | None:
    """The path that an answer redirects to, if it differs from the request's in doubled slashes, dot segments
    and a trailing slash at most; else None.
    """
    if response.status not in REDIRECTS:
        return None
    path = urlsplit(dict(response.headers).get(b"location", b"")).path
    return path if path and _tidy(path) == _tidy(request.path) else None


def _tidy(path: bytes) -> bytes:
    return posixpath.normpath(b"/" + path.lstrip(b"/"))
