"""Hints at the consumer, from masked values and the client certificate's name."""

from __future__ import annotations

import re

from agent import wire
from agent.http.messages import Caller, Exchange
from agent.redact.credentials import Credential, fingerprint
from agent.redact.headers import first
from agent.redact.text import TextMasker

MAX_HINT = 256  # characters
TEST_MARK = " -- "  # separates the test's name that Kubernetes e2e clients append to their user agent

USER = "user"  # the scheme of a credential whose user a server has authenticated
ANONYMOUS = "system:anonymous"

AGENT = b"user-agent"
_CERTIFICATE = b"x-forwarded-client-cert"
_SUBJECT, _VERIFIED, _IS_VERIFIED = b"ssl-client-subject-dn", b"ssl-client-verify", b"SUCCESS"
"""Headers that ingress-nginx sets, and the result of a certificate that it has verified."""
VOUCHING = frozenset((_CERTIFICATE, _SUBJECT))
"""Headers that name the caller."""

_FIELD = re.compile(r'(?:^|;)\s*(URI|Subject|DNS)=("(?:[^"\\]|\\.)*"|[^;]*)', re.IGNORECASE)


def hints(
    exchange: Exchange,
    masked: wire.Request | None,
    aggregation_headers: tuple[str, ...],
    masker: TextMasker,
    credential: Credential,
    key: bytes,
) -> wire.Consumer:
    """The consumer of a request; all fields None without a request. The first of `aggregation_headers` (lower
    case) that it has groups it.
    """
    raw = exchange.request
    if raw is None or masked is None:
        return wire.Consumer()
    if exchange.caller is not None:
        credential = _credential(exchange.caller, key)
    return told_by(
        masked.headers, aggregation_headers, credential, vouched_name(exchange, raw.headers, masker)
    )


def told_by(
    masked: wire.Pairs, aggregation_headers: tuple[str, ...], credential: Credential, name: str | None
) -> wire.Consumer:
    """The consumer with this credential and vouched name; the rest is in the masked headers."""
    agent = _header(masked, AGENT)
    groups = (_header(masked, name.encode()) for name in aggregation_headers)
    return wire.Consumer(
        user_agent=agent,
        credential_scheme=credential.scheme,
        credential=credential.fingerprint,
        client_name=name,
        test_name=agent.partition(TEST_MARK)[2].strip() or None if agent else None,
        aggregation=next((group for group in groups if group is not None), None),
        facts=credential.facts,
    )


def vouched_name(exchange: Exchange, headers: wire.Pairs, masker: TextMasker) -> str | None:
    """The caller's name, if a server or a client certificate vouches for it."""
    if exchange.caller is not None:
        return _public_name(exchange.caller.user, masker)
    return _certified_name(headers, masker)


def caller_scheme(caller: Caller) -> str | None:
    """The scheme of a caller whom a server has authenticated."""
    return USER if caller.user is not None and caller.user != ANONYMOUS else None


def _credential(caller: Caller, key: bytes) -> Credential:
    """A user, as the fingerprint of the name: it may be a person's."""
    facts = {**caller.facts, "user": _kind(caller.user)}
    if caller.acting_as is not None:
        facts["acting-as"] = _kind(caller.acting_as)
        facts["acting-as.fingerprint"] = fingerprint(key, USER, _name(caller.acting_as))
    scheme = caller_scheme(caller)
    user = None if scheme is None else fingerprint(key, USER, _name(caller.user or ""))
    return Credential(scheme, user, facts)


def _kind(user: str | None) -> str:
    if user is None or user == ANONYMOUS:
        return "unauthenticated" if user is None else "anonymous"
    prefixes = ("serviceaccount", "node", "")
    found = next((prefix for prefix in prefixes if user.startswith(f"system:{prefix}")), "other")
    return found or "system"


def _public_name(user: str | None, masker: TextMasker) -> str | None:
    """Keeps names of the cluster's own components; other names may be people."""
    return masker.text(user)[0][:MAX_HINT] if user and user.startswith("system:") else None


def _name(user: str) -> bytes:
    return user.encode("utf-8", "replace")


def _header(headers: wire.Pairs, wanted: bytes, limit: int = MAX_HINT) -> str | None:
    value = first(headers, wanted)
    return None if value is None else value.decode("utf-8", "replace")[:limit]


def _certified_name(headers: wire.Pairs, masker: TextMasker) -> str | None:
    """The name in the client certificate that the nearest proxy has verified, as its headers claim."""
    certificate = _header(headers, _CERTIFICATE, 16 * MAX_HINT)
    if certificate is not None:
        name = _name_in(certificate)
    else:
        name = _header(headers, _SUBJECT)
        if name and first(headers, _VERIFIED) != _IS_VERIFIED:
            return None
    return masker.text(name)[0][:MAX_HINT] if name else None


def _name_in(certificate: str) -> str | None:
    """The name in the last element of Envoy's header."""
    last = certificate[_last_comma(certificate) + 1 :]
    fields = {match[1].lower(): match[2].strip('"') for match in _FIELD.finditer(last)}
    return fields.get("uri") or fields.get("subject") or fields.get("dns")


def _last_comma(text: str) -> int:
    """Position of the last comma outside quotes; -1 if there is none."""
    found, quoted = -1, False
    for i, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            found = i
    return found
