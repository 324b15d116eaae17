"""An exchange as in the API's answers: the parts that an export reads."""

from __future__ import annotations

from typing import TypedDict


class ExportedText(TypedDict, total=False):
    """Bytes: `text` if they are UTF-8, `base64` otherwise."""

    text: str
    base64: str


class ExportedMessage(TypedDict):
    """`size` is in bytes on the wire; `state` says how much of the body was seen."""

    headers: list[tuple[ExportedText, ExportedText]]
    size: int | None
    body: ExportedText | None
    content_type: str | None
    state: str


class ExportedTiming(TypedDict):
    """Times in UTC, RFC 3339; null if unknown."""

    request_start: str | None
    request_end: str | None
    first_byte: str | None
    end: str | None


class ExportedWitness(TypedDict):
    timing: ExportedTiming


class ExportedServer(TypedDict):
    ip: str
    port: int


class ExportedExchange(TypedDict):
    id: str
    time: str
    api: str
    operation: str | None
    verdict: str | None
    completeness: str
    protocol: str
    method: str | None
    scheme: str | None
    host: str | None
    path: ExportedText | None
    query: ExportedText | None
    status: int | None
    server: ExportedServer | None
    request: ExportedMessage | None
    response: ExportedMessage | None
    witnesses: list[ExportedWitness]


class ExportedPage(TypedDict):
    items: list[ExportedExchange]
    next: str | None
