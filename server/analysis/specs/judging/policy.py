"""The policy for parts that a specification does not mention: reported, ignored, or ignored by pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from server.analysis.specs.document.pointers import unescape
from server.analysis.specs.kinds import KINDS, Kind, Unmentioned

STANDARD_HEADERS = frozenset(
    b"accept accept-charset accept-encoding accept-language access-control-allow-credentials"
    b" access-control-allow-headers access-control-allow-methods access-control-allow-origin"
    b" access-control-expose-headers access-control-max-age access-control-request-headers"
    b" access-control-request-method age allow alt-svc authorization cache-control connection"
    b" content-disposition content-encoding content-language content-length content-location content-range"
    b" content-security-policy content-type cookie date dnt etag expect expires forwarded from host if-match"
    b" if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link location"
    b" max-forwards origin permissions-policy pragma priority proxy-authenticate proxy-authorization range"
    b" referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest"
    b" sec-fetch-mode sec-fetch-site sec-fetch-user server set-cookie strict-transport-security te"
    b" traceparent tracestate trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary via"
    b" warning www-authenticate x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-port"
    b" x-forwarded-proto x-frame-options x-real-ip x-request-id x-xss-protection".split()
)
"""Headers of HTTP itself, of browsers and of proxies, which APIs need not describe."""


@dataclass(frozen=True)
class ReportingPolicy:
    """Whether undescribed parts are reported, and shell-like patterns (`*` matches any characters) of those
    never reported. A field's pattern is matched with its JSON pointer and its name.
    """

    fields: bool = True
    parameters: bool = True
    headers: bool = False
    answers: bool = False
    credentials: bool = False
    ignored_fields: tuple[str, ...] = ()
    ignored_parameters: tuple[str, ...] = ()
    ignored_headers: tuple[str, ...] = ()

    @cached_property
    def _rules(self) -> dict[Unmentioned, tuple[bool, re.Pattern[str] | None]]:
        """(whether it is reported, patterns of ignored ones)."""
        return {
            Unmentioned.FIELDS: (self.fields, _any(self.ignored_fields)),
            Unmentioned.PARAMETERS: (self.parameters, _any(self.ignored_parameters)),
            Unmentioned.HEADERS: (self.headers, _any([name.lower() for name in self.ignored_headers])),
            Unmentioned.ANSWERS: (self.answers, None),
            Unmentioned.CREDENTIALS: (self.credentials, None),
        }

    def reports(self, kind: Kind, pointer: str) -> bool:
        """Whether a deviation is to be reported."""
        unmentioned = KINDS[kind].unmentioned
        if unmentioned is None:
            return True
        reported, ignored = self._rules[unmentioned]
        if not reported or ignored is None:
            return reported
        name = unescape(pointer.rpartition("/")[2])
        return not (ignored.fullmatch(pointer) or ignored.fullmatch(name))


def _any(patterns: tuple[str, ...] | list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, patterns))) if patterns else None
