"""Masks a content-decoded body in the way its content type allows.

JSON, forms, multipart forms and event streams are masked in part; other text is kept only if it is short and
nothing in it looks like a secret; of anything else only length and type are kept.
"""

from __future__ import annotations

import re
from email.message import Message
from functools import lru_cache

from msgspec.structs import replace

from agent import wire
from agent.http.body import decode
from agent.http.messages import Body, BodyState, Headers
from agent.redact import event_stream, forms, json, multipart
from agent.redact.headers import first
from agent.redact.mask_log import MaskLog
from agent.redact.policy import Policy
from agent.redact.text import TextMasker

MASKED = "masked"
MALFORMED = "malformed"
MAX_TYPE = 256  # bytes of a content type that are read
MAX_TYPES = 256  # remembered
BOM = "\ufeff"

_JSON_TYPE = re.compile(
    r"(?:application|text)/(?:json(?:-seq)?|(?:x-)?(?:ndjson|jsonl|jsonlines)|csp-report)"
    r"|[^/]+/[^/]+\+json(?:-seq)?"
)
_TEXT_TYPE = re.compile(
    r"text/.*|[^/]+/[^/]+\+(?:xml|yaml)"
    r"|application/(?:xml|javascript|x-javascript|ecmascript|yaml|x-yaml|graphql|sql|toml)"
)
_UNTYPED = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/unknown", "*/*"))


def decoded(body: Body, headers: Headers, policy: Policy) -> Body:
    """The body without its content coding, as much of it as the policy keeps."""
    if not policy.bodies or body.state is BodyState.UNSEEN:
        return Body(body.size, b"", BodyState.UNSEEN)
    body = decode(body, headers, policy.body_limit)
    data = body.data[: policy.body_limit]
    cut = len(data) < len(body.data) and body.state is BodyState.COMPLETE
    return Body(body.size, data, BodyState.TRUNCATED if cut else body.state)


class BodyMasks:
    """Masks the body of one side of one exchange, and logs each mask."""

    def __init__(
        self, masker: TextMasker, policy: Policy, media: ContentTypes, log: MaskLog, where: str
    ) -> None:
        """`where` is "request.body" or "response.body"."""
        self._masker = masker
        self._policy = policy
        self._media = media
        self._log = log
        self._where = where

    def masked(self, body: Body, headers: Headers) -> wire.Body:
        """The body for the record."""
        if body.size == 0 and body.state is BodyState.COMPLETE:
            return wire.Body(0, b"", BodyState.COMPLETE)
        kept = decoded(body, headers, self._policy)
        if not kept.data:
            return wire.Body(kept.size, None if kept.state is not BodyState.COMPLETE else b"", kept.state)
        return self._by_type(kept, self._media.of(headers))

    def _by_type(self, body: Body, typed: tuple[str, Message]) -> wire.Body:
        kind, media = typed
        if kind == "multipart/form-data":
            return self._multipart(body, media)
        try:
            text, complete = body.data.decode(), body.state is BodyState.COMPLETE
        except UnicodeDecodeError as error:
            text, complete = body.data[: error.start].decode(), False
        if kind == "application/json" or _JSON_TYPE.fullmatch(kind):
            return _or_malformed(self._json(body, text, complete), text, complete)
        looks_json = text.lstrip(BOM + " \t\r\n")[:1] in ("{", "[", '"')
        if looks_json and (kind in _UNTYPED or _is_form(kind)):
            return self._json(body, text, complete)
        if _is_form(kind):
            return self._form(body)
        if kind == "text/event-stream":
            return self._events(body, text, complete)
        if _TEXT_TYPE.fullmatch(kind) or kind in _UNTYPED:
            return self._text(body, text)
        return self._whole(body, "binary")

    def _whole(self, body: Body, rule: str) -> wire.Body:
        self._log.add(self._where, "", rule)
        return wire.Body(body.size, None, MASKED)

    def _part(self, body: Body, data: bytes, left_out: int) -> wire.Body:
        """The masked body; `left_out` unreadable bytes or characters are missing from it."""
        state: str = body.state
        if left_out:
            if not data:
                return self._whole(body, "unreadable")
            self._log.rules["unreadable"] += 1
            state = BodyState.UNDECODABLE if body.state is BodyState.COMPLETE else body.state
        return wire.Body(body.size, data, state)

    def _json(self, body: Body, text: str, complete: bool) -> wire.Body:
        mark = BOM if text.startswith(BOM) else ""
        walked = json.mask(
            text[len(mark) :] if mark else text, self._masker, self._log_pointer, cut=not complete
        )
        if walked.text == text:
            data = text.encode()
            return self._part(body, data, len(body.data) - len(data))
        unread = len(body.data) - len(text.encode())
        data = (mark + walked.text).encode() if walked.text else b""
        return self._part(body, data, walked.left_out + unread)

    def _form(self, body: Body) -> wire.Body:
        half = body.state is not BodyState.COMPLETE
        cut = forms.mask_pairs(body.data, self._masker, self._log_name, cut=half, is_form=True)
        return self._part(body, cut.data, cut.left_out)

    def _multipart(self, body: Body, media: Message) -> wire.Body:
        boundary = media.get_boundary("").encode("utf-8", "replace")
        if not boundary:
            return self._whole(body, "unreadable")
        cut = multipart.mask(body.data, boundary, self._masker, self._log_name)
        return self._part(body, cut.data, cut.left_out)

    def _events(self, body: Body, text: str, complete: bool) -> wire.Body:
        kept = text if complete else text[: text.rfind("\n") + 1]
        masked, rules = event_stream.mask(kept, self._masker)
        for rule in rules:
            self._log.add(self._where, "", rule)
        return self._part(body, masked.encode("utf-8", "replace"), len(body.data) - len(kept.encode()))

    def _text(self, body: Body, text: str) -> wire.Body:
        whole = body.state is BodyState.COMPLETE and len(text.encode()) == len(body.data)
        if not whole or not self._masker.clean(text):
            return self._whole(body, "text")
        return wire.Body(body.size, body.data, body.state)

    def _log_pointer(self, pointer: str, rule: str) -> None:
        self._log.add(self._where, pointer, rule)

    def _log_name(self, name: str, rule: str) -> None:
        self._log.add(self._where, "/" + name.replace("~", "~0").replace("/", "~1"), rule)


def _or_malformed(masked: wire.Body, text: str, complete: bool) -> wire.Body:
    """A body that is JSON by its type. It is MALFORMED if it was complete and not all of it could be read,
    which reveals none of its bytes. UTF-16 and UTF-32, which contain NUL, are not checked.
    """
    if complete and masked.state in (BodyState.UNDECODABLE, MASKED) and "\0" not in text:
        return replace(masked, state=MALFORMED)
    return masked


def _is_form(kind: str) -> bool:
    return kind == "application/x-www-form-urlencoded"


class ContentTypes:
    """Content types, parsed by a library for the grammar of RFC 9110 section 8.3; remembered."""

    def __init__(self) -> None:
        self._parsed = lru_cache(maxsize=MAX_TYPES)(_parsed)

    def of(self, headers: Headers) -> tuple[str, Message]:
        """The content type, "" if there is none, and the library's message, which must not be changed."""
        return self._parsed((first(headers, b"content-type") or b"")[:MAX_TYPE])


def _parsed(content_type: bytes) -> tuple[str, Message]:
    media = Message()
    if not content_type:
        return "", media
    media["content-type"] = content_type.decode("latin-1").replace("\r", "").replace("\n", "")
    return media.get_content_type() if media["content-type"] else "", media
