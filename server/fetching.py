"""Fetches a document from a running service, at the request of a user with the admin token, or of a Service's
annotation in a namespace that the administrator lists.

The fetched document is stored and shown only if it is a specification.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx

from server.outgoing import MAX_PORT, PORTS, CheckedTransport, Forbidden, UnknownHost
from server.time_limit import TimeLimit

PLACES = ("/openapi.json", "/openapi/v2", "/v3/api-docs", "/swagger.json", "/openapi.yaml")
"""Paths at which frameworks and Kubernetes serve their documents; tried if the URL has no path."""
TIMEOUT_S = 10.0  # seconds for each step
TOTAL_S = 30.0  # with resolving names, all redirects and places
REDIRECTS = 3
ACCEPT = "application/json, application/yaml;q=0.9, */*;q=0.1"
PLAIN = "identity"  # a content coding could exceed the limit by gigabytes
TOKEN = re.compile(r"[!-~]+")  # characters of a header's value, without blanks


class FetchError(Exception):
    """A sentence without capital and period, and without what the service sent."""


class FetchRefused(FetchError):
    """It is not fetched from there."""


class FetchFailed(FetchError):
    """The service does not deliver it."""


class NotThere(FetchFailed):
    """The service has no such document."""


def fetched(
    url: str, limit: int, token: str | None = None, verify: bool = True, redirects: int = REDIRECTS
) -> bytes:
    """The document at `url`, of at most `limit` bytes; `token` is sent as a bearer. Raises FetchError."""
    parsed = usable(url)
    headers = {"accept": ACCEPT, "accept-encoding": PLAIN, "user-agent": "spectap"}
    if token:
        if not TOKEN.fullmatch(token):
            raise FetchRefused("token: not visible ASCII characters only")
        headers["authorization"] = f"Bearer {token}"
    with (
        TimeLimit(TOTAL_S) as time_limit,
        httpx.Client(
            transport=CheckedTransport(time_limit, verify), timeout=TIMEOUT_S, headers=headers
        ) as client,
    ):
        try:
            content = _found(client, parsed, limit, redirects)
        except FetchFailed:
            if not time_limit.is_over:
                raise
        else:
            if not time_limit.is_over:  # a document that ends with its connection may have been cut
                return content
    raise FetchFailed(f"the document took longer than {TOTAL_S:.0f} s")


def _found(client: httpx.Client, url: httpx.URL, limit: int, redirects: int) -> bytes:
    if url.path not in ("", "/"):
        return _followed(client, url, limit, redirects)
    for place in PLACES:
        try:
            return _followed(client, url.join(place), limit, redirects)
        except NotThere:
            continue
    raise NotThere(f"nothing at {', '.join(PLACES)}: name the path")


def usable(url: str) -> httpx.URL:
    """The URL, if it can be fetched from. Raises FetchRefused."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decoded here; fails for an invalid name such as "xn--a"
    except (httpx.InvalidURL, ValueError):
        raise FetchRefused("url: not a URL") from None
    if parsed.scheme not in PORTS or not host or parsed.userinfo:
        raise FetchRefused("url: not an http:// or https:// URL without a user")
    if parsed.port is not None and not 0 < parsed.port <= MAX_PORT:
        raise FetchRefused(f"url: a port is a number from 1 to {MAX_PORT}")
    return parsed


def _followed(client: httpx.Client, url: httpx.URL, limit: int, redirects: int) -> bytes:
    """Follows redirects within the same host and port."""
    for _ in range(redirects + 1):
        try:
            with client.stream("GET", url) as response:
                if not response.is_redirect:
                    return _body(response, limit)
                target = url.join(response.headers.get("location", ""))
        except Forbidden as error:
            raise FetchRefused(f"url: {error}") from None
        except UnknownHost:
            raise FetchFailed("the host is not known") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            detail = f"the service cannot be reached ({type(error).__name__})"
            raise FetchFailed(detail) from None
        if not redirects:
            raise FetchFailed("the service redirects, which is not followed here")
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise FetchFailed("the service redirects to another host")
        url = target
    raise FetchFailed(f"the service redirects more than {redirects} times")


def _body(response: httpx.Response, limit: int) -> bytes:
    if response.status_code != HTTPStatus.OK:
        raise NotThere(f"the service answers HTTP {response.status_code}")
    if response.headers.get("content-encoding", PLAIN).lower() != PLAIN:
        raise FetchFailed("the service answers in a coding that was not asked for")
    content = bytearray()
    for piece in response.iter_raw():
        content += piece
        if len(content) > limit:
            raise FetchFailed(f"the document is larger than {limit} bytes")
    return bytes(content)
