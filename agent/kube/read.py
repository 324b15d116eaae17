"""Reads one object of the Kubernetes API."""

from __future__ import annotations

import re
from contextlib import closing
from http import HTTPStatus

import httpx
import msgspec

from agent.kube.access import Access
from agent.kube.objects import ConfigMap

TIMEOUT_S = 10.0
MAX_OBJECT = 8 * 1024 * 1024
"""Bytes of an answer. An object has at most 1.5 MiB (etcd's limit), escaped as JSON."""
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""A DNS subdomain (RFC 1123), as objects are named: no path within the API."""


class ReadError(Exception):
    """The object cannot be read: a sentence without a subject, and without content."""


def config_map(access: Access, namespace: str, name: str) -> ConfigMap:
    """A ConfigMap with its texts. Raises ReadError."""
    if not (NAME.fullmatch(namespace) and NAME.fullmatch(name)):
        raise ReadError("is no name of a ConfigMap")
    raw = _read(access, f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    try:
        return msgspec.json.decode(raw, type=ConfigMap)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ReadError("is answered with what is no ConfigMap") from None


def _read(access: Access, path: str) -> bytes:
    try:
        transport = httpx.HTTPTransport(verify=access.trust())
        with (
            closing(httpx.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False)) as client,
            client.stream("GET", access.url + path, headers=access.headers()) as response,
        ):
            _check(response.status_code)
            return _bounded(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ReadError(f"cannot be read ({type(error).__name__})") from None


def _check(status: int) -> None:
    if status == HTTPStatus.NOT_FOUND:
        raise ReadError("does not exist")
    if status == HTTPStatus.FORBIDDEN:
        raise ReadError("may not be read (HTTP 403): grant the service account the verb get in a Role")
    if status != HTTPStatus.OK:
        raise ReadError(f"cannot be read (HTTP {status})")


def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_raw():
        content += piece
        if len(content) > MAX_OBJECT:
            raise ReadError(f"is larger than {MAX_OBJECT} bytes")
    return bytes(content)
