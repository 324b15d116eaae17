"""An exchange in the server's API, parsed strictly: a missing field is an error, not None."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.e2e.observations import AGGREGATION_HEADER, Pairs, Peer, header

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """One direction's message. `data` is None if the API has no body; `state` is a BodyState."""

    headers: Pairs
    size: int | None
    data: bytes | None
    state: str


@dataclass(frozen=True, slots=True)
class Witness:
    """One view. `moments` are wall-clock ns: request start, request end, first byte, end. `ordinal` is its
    connection and its place there.
    """

    side: str
    pid: int | None
    moments: tuple[int | None, ...]
    ordinal: tuple[str, int] = ("", 0)


@dataclass(frozen=True, slots=True)
class Seen:
    id: str
    side: str
    witnesses: tuple[Witness, ...]
    protocol: str
    tls: str | None
    method: str | None
    scheme: str | None
    path: bytes | None
    query: bytes | None
    status: int | None
    request: Content | None
    response: Content | None
    client: Peer | None
    server: Peer | None
    completeness: str
    verdict: str | None
    raw: Json

    @property
    def aggregation(self) -> str | None:
        """The aggregation header's value in the stored request; the test configuration keeps it unmasked."""
        value = header(self.request.headers, AGGREGATION_HEADER) if self.request else None
        return None if value is None else value.decode("latin-1")


def octets(value: Any) -> bytes | None:
    """Bytes in the API's form: text, or {"text"} / {"base64"}; None stays None."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if "text" in value:
        return str(value["text"]).encode()
    return base64.b64decode(value["base64"], validate=True)


def moment(text: str | None) -> int | None:
    """Parses RFC 3339 with any number of fraction digits as ns since the epoch."""
    if text is None:
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


def _endpoint(value: Json | None) -> Peer | None:
    return None if value is None else (value["ip"], value["port"])


def _content(message: Json | None) -> Content | None:
    if message is None:
        return None
    headers = tuple((octets(name) or b"", octets(value) or b"") for name, value in message["headers"])
    return Content(headers, message["size"], octets(message["body"]), message["state"])


def _witness(value: Json) -> Witness:
    timing, process = value["timing"], value["process"]
    names = ("request_start", "request_end", "first_byte", "end")
    pid = None if process is None else process["pid"]
    moments = tuple(moment(timing[name]) for name in names)
    return Witness(value["side"], pid, moments, (value["connection"], value["stream"]))


def exchange(item: Json) -> Seen:
    """Parses one item of GET /api/v1/exchanges."""
    return Seen(
        id=item["id"],
        side=item["side"],
        witnesses=tuple(_witness(witness) for witness in item["witnesses"]),
        protocol=item["protocol"],
        tls=item["tls"],
        method=item["method"],
        scheme=item["scheme"],
        path=octets(item["path"]),
        query=octets(item["query"]),
        status=item["status"],
        request=_content(item["request"]),
        response=_content(item["response"]),
        client=_endpoint(item["client"]),
        server=_endpoint(item["server"]),
        completeness=item["completeness"],
        verdict=item["verdict"],
        raw=item,
    )
