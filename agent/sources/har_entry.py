"""An entry of a HAR document, with the fields that are read of it.

Most entries are as HAR 1.2 says and are decoded in one step. Of others each value of another type is absent.
Texts are valid Unicode; numbers are as written, -1 for unknown included.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Struct, ValidationError, field
from msgspec.json import Decoder

from agent.sources import fields


class HarPair(Struct, gc=False):
    """A header field."""

    name: str | None = None
    value: str | None = None


class HarParam(Struct, gc=False, rename="camel"):
    """A part of a form."""

    name: str | None = None
    value: str | None = None
    file_name: str | None = None
    content_type: str | None = None


class HarPost(Struct, rename="camel"):
    """A request's body."""

    mime_type: str | None = None
    text: str | None = None
    encoding: str | None = None
    params: list[HarParam] | None = None


class HarContent(Struct, gc=False, rename="camel"):
    """A response's body."""

    size: float | None = None
    mime_type: str | None = None
    text: str | None = None
    encoding: str | None = None


class HarRequest(Struct, rename="camel"):
    method: str | None = None
    url: str | None = None
    http_version: str | None = None
    headers: list[HarPair] | None = None
    post_data: HarPost | None = None
    body_size: float | None = None


class HarResponse(Struct, rename="camel"):
    status: float | None = None
    http_version: str | None = None
    headers: list[HarPair] | None = None
    content: HarContent | None = None
    body_size: float | None = None


class HarTimings(Struct, gc=False):
    """Milliseconds."""

    blocked: float | None = None
    dns: float | None = None
    connect: float | None = None
    send: float | None = None
    wait: float | None = None
    receive: float | None = None


class HarEntry(Struct, rename="camel"):
    started_date_time: str | None = None
    time: float | None = None
    request: HarRequest | None = None
    response: HarResponse | None = None
    timings: HarTimings | None = None
    server_ip: str | None = field(default=None, name="serverIPAddress")


_decode = Decoder(HarEntry).decode


def har_entry(raw: bytes) -> HarEntry:
    """The entry in `raw`. Raises EntryError."""
    fields.check_brackets(raw)
    try:
        return _decode(raw)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        return _of_another_kind(fields.decoded(raw))


def _of_another_kind(entry: dict[str, Any]) -> HarEntry:
    asked, answered = fields.part(entry, "request"), fields.part(entry, "response")
    timings, content = fields.part(entry, "timings"), fields.part(answered, "content")
    return HarEntry(
        _text(entry, "startedDateTime"),
        fields.number(entry, "time"),
        HarRequest(
            _text(asked, "method"),
            _text(asked, "url"),
            _text(asked, "httpVersion"),
            _pairs(asked),
            _post(fields.part(asked, "postData")),
            fields.number(asked, "bodySize"),
        ),
        HarResponse(
            fields.number(answered, "status"),
            _text(answered, "httpVersion"),
            _pairs(answered),
            HarContent(
                fields.number(content, "size"),
                *(_text(content, name) for name in ("mimeType", "text", "encoding")),
            ),
            fields.number(answered, "bodySize"),
        ),
        HarTimings(*(fields.number(timings, name) for name in HarTimings.__struct_fields__)),
        _text(entry, "serverIPAddress"),
    )


def _post(post: dict[str, Any]) -> HarPost:
    params = [
        HarParam(*(_text(one, name) for name in ("name", "value", "fileName", "contentType")))
        for one in fields.parts(post, "params")
    ]
    return HarPost(_text(post, "mimeType"), _text(post, "text"), _text(post, "encoding"), params)


def _pairs(message: dict[str, Any]) -> list[HarPair]:
    return [HarPair(_text(one, "name"), _text(one, "value")) for one in fields.parts(message, "headers")]


def _text(value: dict[str, Any], name: str) -> str | None:
    """A text in which halves of surrogate pairs, possible in JSON, are replaced; None if it is none."""
    found = value.get(name)
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else None
