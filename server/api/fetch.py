"""Fetching a document from a running service, because a person with the admin token asked for it.

Services are internal, so private addresses are allowed; link-local ones (cloud metadata) are not. What
was fetched is stored only if it is a specification, and never shown otherwise.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from server.api.errors import Problem

PLACES = ("/openapi.json", "/openapi/v2", "/v3/api-docs", "/swagger.json", "/openapi.yaml")
"""Where frameworks and Kubernetes serve their documents; tried where the URL names no path."""
TIMEOUT_S = 10.0  # for each step
TOTAL_S = 30.0
REDIRECTS = 3
ACCEPT = "application/json, application/yaml;q=0.9, */*;q=0.1"


def fetched(url: str, limit: int, token: str | None = None, verify: bool = True) -> bytes:
    """The document at `url`, of at most `limit` bytes; `token` is sent as a bearer. Raises Problem."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "url: not an http:// or https:// URL without a user")
    _check_address(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    headers = {"accept": ACCEPT, "user-agent": "spectap"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    until = time.monotonic() + TOTAL_S
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False, headers=headers, verify=verify) as client:
        if parts.path not in ("", "/"):
            return _followed(client, httpx.URL(url), limit, until)
        for place in PLACES:
            try:
                return _followed(client, httpx.URL(url).join(place), limit, until)
            except NotThere:
                continue
    raise NotThere(f"nothing at {', '.join(PLACES)}: name the path")


class NotThere(Problem):
    """The service has no such document."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.BAD_GATEWAY, detail)


def _check_address(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Problem(HTTPStatus.BAD_GATEWAY, "the host is not known") from None
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        if (mapped or ip).is_link_local:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "link-local addresses are not fetched from")


def _followed(client: httpx.Client, url: httpx.URL, limit: int, until: float) -> bytes:
    """Follows redirects within the same host and port."""
    for _ in range(REDIRECTS + 1):
        try:
            with client.stream("GET", url) as response:
                if not response.is_redirect:
                    return _body(response, limit, until)
                target = url.join(response.headers.get("location", ""))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            detail = f"the service cannot be reached ({type(error).__name__})"
            raise Problem(HTTPStatus.BAD_GATEWAY, detail) from None
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise Problem(HTTPStatus.BAD_GATEWAY, "the service redirects to another host")
        url = target
    raise Problem(HTTPStatus.BAD_GATEWAY, f"the service redirects more than {REDIRECTS} times")


def _body(response: httpx.Response, limit: int, until: float) -> bytes:
    if response.status_code != HTTPStatus.OK:
        raise NotThere(f"the service answers HTTP {response.status_code}")
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > limit:
            raise Problem(HTTPStatus.BAD_GATEWAY, f"the document is larger than {limit} bytes")
        if time.monotonic() > until:
            raise Problem(HTTPStatus.BAD_GATEWAY, f"the document took longer than {TOTAL_S:.0f} s")
    return bytes(content)
