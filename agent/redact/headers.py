"""Masks header fields: names stay; values are masked unless the name is known to carry no secret.

Kept values are still masked as texts. Cookies keep their names, Set-Cookie its attributes, credentials and
challenges their scheme. Fields that passed unchanged more than once are remembered, a bounded number, none
with a secret: most occur in every message.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.http.messages import Headers
from agent.redact import placeholders, urls
from agent.redact.mask_log import MaskLog
from agent.redact.policy import NEVER_KEPT, Policy
from agent.redact.repeat_cache import RepeatCache
from agent.redact.text import TextMasker
from agent.wire import Pairs


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEPT = _listed("""
    accept accept-charset accept-encoding accept-language accept-patch accept-post accept-ranges grpc-status
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age
    access-control-request-headers access-control-request-method age allow alt-svc
    api-supported-versions api-version cache-control connection content-disposition content-encoding
    content-language content-length content-range content-type date deprecation dnt etag expect
    expires if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive
    last-modified link max-forwards origin pragma prefer preference-applied priority
    proxy-authenticate proxy-connection range ratelimit ratelimit-limit ratelimit-policy
    ratelimit-remaining ratelimit-reset retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform
    sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-version server
    server-timing strict-transport-security sunset te traceparent trailer transfer-encoding upgrade
    upgrade-insecure-requests user-agent vary via warning www-authenticate x-api-version
    x-content-type-options x-correlation-id x-forwarded-host x-forwarded-port x-forwarded-proto
    x-frame-options x-http-method-override x-powered-by x-ratelimit-limit x-ratelimit-remaining
    x-ratelimit-reset x-request-id x-requested-with
""")
_NAME_LISTS = _listed("""
    access-control-allow-headers access-control-expose-headers access-control-request-headers connection
    trailer vary
""")
SCHEMES = _listed("""
    basic bearer concealed digest dpop gnap hoba mutual negotiate ntlm oauth privatetoken
    scram-sha-1 scram-sha-256 vapid aws4-hmac-sha256 aws4-ecdsa-p256-sha256 apikey api-key token key
    signature hawk sharedkey sharedkeylite goog4-rsa-sha256 googlelogin
""")
_ATTRIBUTES = frozenset(
    ("path", "domain", "expires", "max-age", "secure", "httponly", "samesite", "partitioned", "priority")
)
_BOUNDARY = re.compile(rb'(?i)\bboundary="?[A-Za-z0-9\'()+_,./:=?-]{1,70}"?')
_LINE_END = re.compile(rb"[\r\n]")
_NAME = re.compile(rb"[A-Za-z0-9_.!#$%&'*+^`|~-]+")


MAX_NAME = 64  # bytes; longer ones are no names
MAX_PLAIN_NAME = 12  # too short to be a secret
MAX_CLEAN = 4096  # remembered fields
MAX_CLEAN_LENGTH = 256  # bytes of a remembered field's value


class HeaderMemory:
    """What is left unchanged under one policy: `fields`, on either side, and `names` whose values are kept if
    they are clean as texts.
    """

    def __init__(self, masker: TextMasker, policy: Policy) -> None:
        self.masker = masker
        self._configured = (policy.aggregation_header.lower(),) if policy.aggregation_header else ()
        self.fields: RepeatCache[tuple[bytes, bytes]] = RepeatCache(MAX_CLEAN)
        self.names: set[bytes] = set()

    def aggregation_headers(self, annotated: tuple[str, ...]) -> tuple[str, ...]:
        """The request headers to group calls by: annotated ones, then the operator's. An annotation cannot
        name a header that carries credentials, or one whose name is that of a secret.
        """
        if not annotated:
            return self._configured
        names = self.masker.names
        allowed = [one for one in annotated if one not in NEVER_KEPT and names.rule(one) is None]
        return (*allowed, *self._configured)

    def unremembered(self, headers: Headers) -> Headers:
        """The fields that may hold a credential: all but the remembered ones."""
        known = self.fields.known
        return tuple([field for field in headers if field not in known])


class HeaderMasks:
    """Masks the header fields of one side of one exchange, and logs each mask."""

    def __init__(
        self, memory: HeaderMemory, log: MaskLog, side: str, aggregation_headers: tuple[str, ...] = ()
    ) -> None:
        """`side` is "" for the request and "response." for the response. Values of `aggregation_headers` are
        kept.
        """
        self._memory = memory
        self._masker = memory.masker
        self._log = log
        self._aggregation_headers = aggregation_headers
        self._header = f"{side}header"
        self._cookie = f"{side}cookie"

    def masked(self, headers: Headers) -> Pairs:
        """The fields in order, with masked values."""
        known = self._memory.fields.known
        return tuple([field if field in known else self._unknown(field) for field in headers])

    def _unknown(self, field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        """Like `_field`, and remembers a field that needed no mask."""
        name, value = field
        before = self._log.total
        if b"\n" in value or b"\r" in value:
            return self._several(name, value)
        if name in self._memory.names and self._masker.text(value.decode("latin-1"))[1] is None:
            masked = field
        else:
            masked = self._field(name, value)
        if masked == field and self._log.total == before and len(value) <= MAX_CLEAN_LENGTH:
            self._remember(field)
        return masked

    def _remember(self, field: tuple[bytes, bytes]) -> None:
        """Remembers a clean field; an aggregation header is kept whatever it holds, so it is not clean."""
        names = self._aggregation_headers
        if not names or field[0].decode("latin-1").lower() not in names:
            self._memory.fields.add(field)

    def _several(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        """A value with a line end, possible in files: what follows may be other fields and is masked."""
        line = _LINE_END.split(value, 1)[0]
        shown, masked = self._field(name, line)
        self._log.add(self._header, shown.decode("latin-1").lower(), "header")
        return shown, masked + placeholders.of_bytes(len(value) - len(line))

    def _field(self, raw_name: bytes, value: bytes) -> tuple[bytes, bytes]:
        name = raw_name.decode("latin-1").lower()
        shown, rule = name, None
        if len(name) > MAX_NAME:
            shown, rule = placeholders.filler(len(name)), "long-name"
        elif len(name) > MAX_PLAIN_NAME:
            shown, rule = self._masker.name(raw_name.decode("latin-1"))
        if rule is not None:
            self._log.add(self._header, shown, rule)
            raw_name, name = shown.encode("latin-1", "replace"), shown
        return raw_name, self._value(name, value)

    def _value(self, name: str, value: bytes) -> bytes:
        if not value:
            return value
        way = _WAYS.get(name)
        return self._by_name(name, value) if way is None else way(self, name, value)

    def _by_name(self, name: str, value: bytes) -> bytes:
        """A value that is kept if its name is known to carry no secret and its text holds none."""
        rule = self._masker.names.rule(name)
        kept = name in KEPT or self._masker.names.kept(name)
        if (kept and rule is None) or name in self._aggregation_headers:
            if name in KEPT and name not in _WAYS:
                self._memory.names.add(name.encode("latin-1"))
            return self._text(self._header, name, value)
        self._log.add(self._header, name, rule or "header")
        return placeholders.of_text(value.decode("latin-1")).encode("latin-1")

    def _content_type(self, name: str, value: bytes) -> bytes:
        """Masks all but the boundary of a multipart body, which is random by design, no secret, and needed to
        read the body.
        """
        boundary = _BOUNDARY.search(value)
        if boundary is None or not value.lstrip().lower().startswith(b"multipart/"):
            return self._by_name(name, value)
        start, end = boundary.span()
        before, after = (self._by_name(name, part) if part else part for part in (value[:start], value[end:]))
        return before + value[start:end] + after

    def _url(self, name: str, value: bytes) -> bytes:
        return urls.mask_url(value, self._masker, self._log, self._header, name)

    def _authority(self, name: str, value: bytes) -> bytes:
        return urls.mask_authority(value, self._log, self._header, name)

    def _names(self, name: str, value: bytes) -> bytes:
        shown, rule = self._masker.name(value.decode("latin-1"))
        if rule is None:
            return self._by_name(name, value)
        self._log.add(self._header, name, rule)
        return shown.encode("latin-1", "replace")

    def _cookies(self, name: str, value: bytes) -> bytes:
        return b"; ".join(self._cookie_pair(pair.strip()) for pair in value.split(b";"))

    def _text(self, where: str, name: str, value: bytes) -> bytes:
        text, rule = self._masker.text(value.decode("latin-1"))
        if rule is None:
            return value
        self._log.add(where, name, rule)
        return text.encode("latin-1", "replace")

    def _credentials(self, name: str, value: bytes) -> bytes:
        scheme, rest = split_scheme(value)
        self._log.add(self._header, name, "authorization")
        return (scheme + b" " if scheme else b"") + placeholders.filler(len(rest)).encode()

    def _cookie_pair(self, pair: bytes) -> bytes:
        name, equals, value = pair.partition(b"=")
        text = name.decode("latin-1")
        if not equals:
            name, equals, value, text = b"", b"", name, ""
        elif self._masker.name(text)[1] is not None or not _NAME.fullmatch(name):
            text = placeholders.of_text(text)
            name = text.encode("latin-1")
        if value:
            self._log.add(self._cookie, text, "cookie")
        return name + equals + placeholders.of_text(value.decode("latin-1")).encode("latin-1")

    def _set_cookie(self, name: str, value: bytes) -> bytes:
        first, *attributes = value.split(b";")
        return b";".join([self._cookie_pair(first.strip()), *map(self._attribute, attributes)])

    def _attribute(self, raw: bytes) -> bytes:
        name, equals, value = raw.partition(b"=")
        known = name.decode("latin-1").strip().lower()
        if known in _ATTRIBUTES:
            return name + equals + self._text(self._cookie, known, value) if equals else raw
        self._log.add(self._cookie, "", "cookie")
        return b" redacted"


_WAYS: dict[str, Callable[[HeaderMasks, str, bytes], bytes]] = {
    **dict.fromkeys(("authorization", "proxy-authorization"), HeaderMasks._credentials),
    **dict.fromkeys(("location", "content-location", "referer"), HeaderMasks._url),
    **dict.fromkeys(_NAME_LISTS, HeaderMasks._names),
    **dict.fromkeys(("host", "x-forwarded-host"), HeaderMasks._authority),
    "cookie": HeaderMasks._cookies,
    "set-cookie": HeaderMasks._set_cookie,
    "content-type": HeaderMasks._content_type,
}
"""The masking functions of headers with a syntax of their own."""


def first(headers: Headers, wanted: bytes) -> bytes | None:
    """The first value of `wanted` (lower case), however the name is written."""
    length = len(wanted)
    for name, value in headers:
        if len(name) == length and name.lower() == wanted:
            return value
    return None


def split_scheme(value: bytes) -> tuple[bytes, bytes]:
    """An Authorization value's scheme, b"" if unknown, and the rest."""
    scheme, blank, rest = value.strip().partition(b" ")
    if blank and scheme.decode("latin-1").lower() in SCHEMES:
        return scheme, rest.strip()
    return b"", value.strip()
