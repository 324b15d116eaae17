"""Bodies of HAR entries, and their types where the headers name none.

Writers store a body as text, as base64, or a form as its parameters; the type is in `mimeType` as well, and
tests and converters often write it only there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from agent.http.messages import EMPTY_BODY, Body, BodyState, Headers, header, is_bodiless
from agent.sources import fields
from agent.sources.reported import NotBase64

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w-]+)", re.IGNORECASE)
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;[^\r\n]*)?", re.ASCII)
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # WHATWG's form encoding


def sent(asked: dict[str, Any], headers: Headers) -> tuple[Body, Headers]:
    """A request's body, and its headers with the body's type."""
    post, passed = fields.part(asked, "postData"), fields.size(asked, "bodySize")
    try:
        data = _text(post, "text")
    except NotBase64:
        return Body(passed, b"", BodyState.UNDECODABLE), headers
    headers = _typed(headers, fields.text(post, "mimeType")) if data or _has_params(post) else headers
    if data:
        return _whole(data, passed, headers), headers
    if _has_params(post):
        kind = (header(headers, b"content-type") or b"").decode("latin-1").lower()
        if kind.startswith(_FORM):
            return _whole(_form(post), passed, headers), headers
        if kind.startswith(_MULTIPART):
            return _multipart(post, passed, headers)
        return Body(passed, b"", BodyState.UNSEEN), headers
    declared = header(headers, b"content-length")
    announced = header(headers, b"transfer-encoding") is not None or declared not in (None, b"0")
    unseen = passed or (passed is None and announced)
    return Body(passed, b"", BodyState.UNSEEN) if unseen else EMPTY_BODY, headers


def received(answered: dict[str, Any], headers: Headers, status: int, method: bytes) -> tuple[Body, Headers]:
    """A response's body, and its headers with the body's type."""
    content, passed = fields.part(answered, "content"), fields.size(answered, "bodySize")
    full = fields.size(content, "size")
    try:
        data = _text(content, "text")
    except NotBase64:
        return Body(passed or full, b"", BodyState.UNDECODABLE), headers
    if data:
        headers = _typed(headers, fields.text(content, "mimeType"))
        body = _whole(data, passed, headers)
        charset = _CHARSET.search(fields.text(content, "mimeType") or "")
        countable = charset is None or charset[1].lower() in _UTF8
        cut = countable and full is not None and len(data) < full
        return replace(body, state=BodyState.TRUNCATED) if cut else body, headers
    if is_bodiless(method, status) or full == 0 or (full is None and passed == 0):
        return EMPTY_BODY, headers
    return Body(passed or full, b"", BodyState.UNSEEN), headers


def _typed(headers: Headers, mime_type: str | None) -> Headers:
    """The headers, with the Content-Type that `mimeType` states if they have none."""
    is_type = mime_type is not None and _TYPE.fullmatch(mime_type)
    return fields.with_default(headers, b"content-type", mime_type if is_type else None)


def _has_params(post: dict[str, Any]) -> bool:
    return bool(fields.parts(post, "params"))


def _form(post: dict[str, Any]) -> bytes:
    pairs = [
        (fields.text(one, "name") or "", fields.text(one, "value") or "")
        for one in fields.parts(post, "params")
    ]
    return fields.encoded(urlencode(pairs, errors="replace"))


def _multipart(post: dict[str, Any], passed: int | None, headers: Headers) -> tuple[Body, Headers]:
    """The form as it may have been sent (RFC 7578): its boundary is not told, and files' content is empty."""
    parts = []
    for one in fields.parts(post, "params"):
        name, file = fields.text(one, "name") or "", fields.text(one, "fileName")
        head = f'Content-Disposition: form-data; name="{name.translate(_QUOTED)}"'
        kind = fields.text(one, "contentType")
        head += "" if file is None else f'; filename="{file.translate(_QUOTED)}"'
        head += "" if kind is None or not _TYPE.fullmatch(kind) else f"\r\nContent-Type: {kind}"
        value = "" if file is not None else fields.text(one, "value") or ""
        parts.append(fields.encoded(f"{head}\r\n\r\n{value}"))
    boundary = blake2b(b"\0".join(parts), digest_size=12).hexdigest().encode()  # in no part by chance
    data = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary
    typed = (b"content-type", b"%s; boundary=%s" % (_MULTIPART.encode(), boundary))
    others = tuple(pair for pair in headers if pair[0] != b"content-type")
    return Body(passed, data, BodyState.COMPLETE, coded=False), (*others, typed)


def _text(content: dict[str, Any], name: str) -> bytes | None:
    """A body's bytes; None if the writer left them out. Raises NotBase64."""
    found = fields.text(content, name)
    if found is None:
        return None
    return fields.base64(found) if content.get("encoding") == "base64" else fields.encoded(found)


def _whole(data: bytes, passed: int | None, headers: Headers) -> Body:
    """A complete body; its content coding counts as undone unless the bytes still look coded."""
    coding = (header(headers, b"content-encoding") or b"").strip().lower()
    magic = {b"gzip": b"\x1f\x8b", b"zstd": b"\x28\xb5\x2f\xfd"}.get(coding)
    return Body(
        passed or len(data), data, BodyState.COMPLETE, coded=magic is not None and data.startswith(magic)
    )
