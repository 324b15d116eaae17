"""Bodies of HAR entries, and their types where the headers name none.

Writers store a body as text, as base64, or a form as its parameters; the type is in `mimeType` as well, and
tests and converters often write it only there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import blake2b
from urllib.parse import urlencode

from agent.http.messages import EMPTY_BODY, Body, BodyState, Headers, header, is_bodiless
from agent.sources import fields
from agent.sources.har_entry import HarContent, HarParam, HarRequest, HarResponse
from agent.sources.reported import NotBase64

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w-]+)", re.IGNORECASE)
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;[^\r\n]*)?", re.ASCII)
_MAGIC = {b"gzip": b"\x1f\x8b", b"zstd": b"\x28\xb5\x2f\xfd"}
_NO_CONTENT = HarContent()
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # WHATWG's form encoding


def sent(asked: HarRequest, headers: Headers) -> tuple[Body, Headers]:
    """A request's body, and its headers with the body's type."""
    post, passed = asked.post_data, fields.whole(asked.body_size)
    if post is not None and post.text:
        try:
            data = _bytes(post.text, post.encoding)
        except NotBase64:
            return Body(passed, b"", BodyState.UNDECODABLE), headers
        headers = _typed(headers, post.mime_type)
        return _whole(data, passed, headers), headers
    if post is not None and post.params:
        headers = _typed(headers, post.mime_type)
        kind = (header(headers, b"content-type") or b"").decode("latin-1").lower()
        if kind.startswith(_FORM):
            return _whole(_form(post.params), passed, headers), headers
        if kind.startswith(_MULTIPART):
            return _multipart(post.params, passed, headers)
        return Body(passed, b"", BodyState.UNSEEN), headers
    declared = header(headers, b"content-length")
    announced = header(headers, b"transfer-encoding") is not None or declared not in (None, b"0")
    unseen = passed or (passed is None and announced)
    return Body(passed, b"", BodyState.UNSEEN) if unseen else EMPTY_BODY, headers


def received(answered: HarResponse, headers: Headers, status: int, method: bytes) -> tuple[Body, Headers]:
    """A response's body, and its headers with the body's type."""
    content, passed = answered.content or _NO_CONTENT, fields.whole(answered.body_size)
    full = fields.whole(content.size)
    if content.text:
        try:
            data = _bytes(content.text, content.encoding)
        except NotBase64:
            return Body(passed or full, b"", BodyState.UNDECODABLE), headers
        headers = _typed(headers, content.mime_type)
        body = _whole(data, passed, headers)
        cut = full is not None and len(data) < full and _is_countable(content.mime_type or "")
        return replace(body, state=BodyState.TRUNCATED) if cut else body, headers
    if is_bodiless(method, status) or full == 0 or (full is None and passed == 0):
        return EMPTY_BODY, headers
    return Body(passed or full, b"", BodyState.UNSEEN), headers


def _is_countable(mime_type: str) -> bool:
    """Whether a text's size is that of its UTF-8."""
    charset = _CHARSET.search(mime_type)
    return charset is None or charset[1].lower() in _UTF8


def _typed(headers: Headers, mime_type: str | None) -> Headers:
    """The headers, with the Content-Type that `mimeType` states if they have none."""
    if not mime_type or header(headers, b"content-type") is not None or not _TYPE.fullmatch(mime_type):
        return headers
    return (*headers, (b"content-type", mime_type.encode()))


def _form(params: list[HarParam]) -> bytes:
    return urlencode([(one.name or "", one.value or "") for one in params]).encode()


def _multipart(params: list[HarParam], passed: int | None, headers: Headers) -> tuple[Body, Headers]:
    """The form as it may have been sent (RFC 7578): its boundary is not told, and files' content is empty."""
    parts = []
    for one in params:
        file, kind = one.file_name or None, one.content_type or None
        head = f'Content-Disposition: form-data; name="{(one.name or "").translate(_QUOTED)}"'
        head += "" if file is None else f'; filename="{file.translate(_QUOTED)}"'
        head += "" if kind is None or not _TYPE.fullmatch(kind) else f"\r\nContent-Type: {kind}"
        value = "" if file is not None else one.value or ""
        parts.append(f"{head}\r\n\r\n{value}".encode())
    boundary = blake2b(b"\0".join(parts), digest_size=12).hexdigest().encode()  # in no part by chance
    data = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary
    typed = (b"content-type", b"%s; boundary=%s" % (_MULTIPART.encode(), boundary))
    others = tuple(pair for pair in headers if pair[0] != b"content-type")
    return Body(passed, data, BodyState.COMPLETE, coded=False), (*others, typed)


def _bytes(text: str, encoding: str | None) -> bytes:
    """A body's bytes. Raises NotBase64."""
    return fields.base64(text) if encoding == "base64" else text.encode()


def _whole(data: bytes, passed: int | None, headers: Headers) -> Body:
    """A complete body; its content coding counts as undone unless the bytes still look coded."""
    coding = header(headers, b"content-encoding")
    magic = None if coding is None else _MAGIC.get(coding.strip().lower())
    return Body(
        passed or len(data), data, BodyState.COMPLETE, coded=magic is not None and data.startswith(magic)
    )
