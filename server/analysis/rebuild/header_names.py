"""Recognises an API's own headers and cookies, as opposed to those of HTTP, proxies and trackers."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST_NAME = 100  # characters of a learned name

_OF_HTTP = frozenset(
    [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "age",
        "alt-svc",
        "authorization",
        "cache-control",
        "connection",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "dnt",
        "expect",
        "expires",
        "forwarded",
        "from",
        "host",
        "keep-alive",
        "last-event-id",
        "last-modified",
        "max-forwards",
        "origin",
        "p3p",
        "pragma",
        "priority",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "referer",
        "save-data",
        "server",
        "server-timing",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "vary",
        "via",
        "warning",
        "x-powered-by",
        "x-xss-protection",
        "content-md5",
        "x-content-type-options",
        "x-frame-options",
        "content-security-policy",
        "referrer-policy",
        "permissions-policy",
    ]
)
"""Headers of HTTP itself, of browsers and of policies: not an API's own."""

_OF_PROXIES = re.compile(
    r"x-forwarded-.*|x-real-ip|x-b3-.*|b3|traceparent|tracestate|baggage|x-request-id|x-correlation-id"
    r"|x-amzn?-.*|cf-.*|x-envoy-.*|x-datadog-.*|uber-trace-id|x-cloud-.*|x-ot-.*|sentry-.*|newrelic"
    r"|sec-.*|access-control-.*|x-runtime|x-served-by|x-cache.*|x-timer|nel|report-to|proxy-.*|:.*"
    r"|x-original-.*|true-client-ip|x-client-ip|x-cluster-client-ip|grpc-.*|x-requested-with"
)

_TRACKERS = (
    r"_ga(_.*)?|_gid|_gat.*|_gac_.*|_gcl_.*|__utm.*|__gads|__gpi|_fbp|_fbc|_hj.*|_clck|_clsk|_uet.*|_pin_.*"
    r"|_pk_.*|_mkto_trk|__hs.*|hubspotutk|mp_.*_mixpanel|amplitude_.*|ajs_.*|optimizely.*|_vwo.*|intercom-.*"
    r"|_dd_s|optanon.*|cookieconsent.*|cookielawinfo.*|euconsent.*"
)
_BALANCERS = (
    r"__cf.*|_cf.*|cf_.*|awsalb.*|awselb.*|aws-waf-token|bigipserver.*|ts[0-9a-f]{6,}|arraffinity.*|gclb"
    r"|incap_ses_.*|visid_incap_.*|nlbi_.*|ak_bmsc|bm_.*|_abck|datadome|serverid|srv_id|ingresscookie"
)
_OF_OTHERS = re.compile(f"{_TRACKERS}|{_BALANCERS}", re.IGNORECASE)


def is_own_cookie(name: str) -> bool:
    """Whether a cookie is not one of trackers, consent dialogs, proxies and load balancers (README.md)."""
    return _OF_OTHERS.fullmatch(name) is None


@lru_cache(maxsize=4096)
def header_name(raw: bytes) -> str | None:
    """A header's name in lower case; None if it is not an API's own."""
    name = raw.decode("latin-1").lower()
    known = name in _OF_HTTP or len(name) > LONGEST_NAME or _OF_PROXIES.fullmatch(name)
    return None if known else name
