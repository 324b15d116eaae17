"""Identifies a credential without revealing it: a keyed fingerprint, its scheme, and facts about it.

The fingerprint is HMAC-SHA256 under the cluster's key, cut to 128 bits: a credential has the same fingerprint
on every node with the key, and without the key guesses cannot be checked against it.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import field
from typing import Any

from agent.frozen import dataclass
from agent.http.messages import Headers
from agent.redact import forms
from agent.redact.headers import split_scheme
from agent.redact.text import TextMasker
from agent.redact.values import decoded_base64

FINGERPRINT_BYTES = 16
MAX_JWT = 16 * 1024  # characters; a longer token is not decoded
MAX_CLAIMS = 32
MAX_EXP = 2**53

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/#-]{1,64}")
_ALGORITHM = re.compile(r"[A-Za-z0-9-]{1,20}")
AUTHORIZATION = "authorization"
_AUTHORIZATIONS = (b"authorization", b"proxy-authorization")
_CARRIERS = frozenset(("name:key", "name:token", "name:session", "name:secret", "name:policy"))
_STABLE = {
    # In these schemes the credential differs with each request; this part identifies the consumer.
    "digest": re.compile(rb'(?i)\busername="?([^",]*)'),
    "aws4-hmac-sha256": re.compile(rb"Credential=([^/,\s]*)"),
    "aws4-ecdsa-p256-sha256": re.compile(rb"Credential=([^/,\s]*)"),
    "hawk": re.compile(rb'\bid="([^"]*)'),
    "signature": re.compile(rb'(?i)\bkeyId="([^"]*)'),
    "sharedkey": re.compile(rb"([^:]*):"),
    "sharedkeylite": re.compile(rb"([^:]*):"),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """The publishable facts of a credential. `facts` never holds a value from it."""

    scheme: str | None = None
    fingerprint: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A credential and where it is: AUTHORIZATION, or the name of a header, query parameter or cookie."""

    place: str
    name: str
    secret: bytes


def find(headers: Headers, query: bytes | None, masker: TextMasker, key: bytes) -> Credential:
    """The request's credential, described without revealing it."""
    found = carrier(headers, query, masker)
    if found is None:
        return Credential()
    if found.place == AUTHORIZATION:
        return _authorization(found.secret, masker, key)
    described = _carried(found, masker, key)
    if found.place != "cookie":
        return described
    return Credential("cookie", fingerprint(key, "cookie", found.secret), described.facts)


def scheme(headers: Headers, query: bytes | None, masker: TextMasker) -> str | None:
    """The scheme of the request's credential alone."""
    found = carrier(headers, query, masker)
    if found is None:
        return None
    if found.place == AUTHORIZATION:
        return scheme_of(found.secret)
    return "cookie" if found.place == "cookie" else "api-key"


def may_carry(names: Iterable[bytes], masker: TextMasker) -> bool:
    """Whether headers of these names, in lower case, may carry a credential."""
    return any(
        name in _AUTHORIZATIONS or name == b"cookie" or masker.names.rule(name.decode("latin-1")) in _CARRIERS
        for name in names
    )


def carrier(headers: Headers, query: bytes | None, masker: TextMasker) -> Carrier | None:
    """What carries the request's credential: Authorization, else an API key in a header or the query, else a
    session cookie.
    """
    for wanted in _AUTHORIZATIONS:
        for field_name, raw_value in headers:
            if (
                len(field_name) == len(wanted)
                and field_name.lower() == wanted
                and (secret := raw_value.strip())
            ):
                return Carrier(AUTHORIZATION, "", secret)
    fields = [(name.decode("latin-1").lower(), value.strip()) for name, value in headers]
    for name, value in fields:
        if name not in ("cookie", "set-cookie") and value and masker.names.rule(name) in _CARRIERS:
            return Carrier("header", name, value)
    for pair in (query or b"").split(b"&"):
        raw_name, _, value = pair.partition(b"=")
        name = forms.fully(forms.decoded(raw_name))
        if value and masker.names.rule(name) in _CARRIERS:
            return Carrier("query", name, forms.decoded(value).encode())
    return _session(fields, masker)


def fingerprint(key: bytes, kind: str, secret: bytes) -> str:
    """The fingerprint as hex. `kind` separates equal bytes used in different ways."""
    digest = hmac.digest(key, b"spectap\0" + kind.encode() + b"\0" + secret, "sha256")
    return digest[:FINGERPRINT_BYTES].hex()


def _authorization(value: bytes, masker: TextMasker, key: bytes) -> Credential:
    raw_scheme, secret = split_scheme(value)
    scheme = _scheme(raw_scheme)
    stable = _STABLE[scheme].search(secret) if scheme in _STABLE else None
    facts = {"basic": "true"} if scheme == "basic" else _jwt(secret, masker, key)
    return Credential(scheme, fingerprint(key, scheme, stable[1] if stable else secret), facts)


def scheme_of(authorization: bytes) -> str:
    """The scheme of an Authorization value."""
    return _scheme(split_scheme(authorization)[0])


def _scheme(raw: bytes) -> str:
    return raw.decode("latin-1").lower() or "other"


def _carried(found: Carrier, masker: TextMasker, key: bytes) -> Credential:
    facts = {"in": found.place, **_jwt(found.secret, masker, key)}
    if _IDENTIFIER.fullmatch(found.name) and masker.name(found.name)[1] is None:
        facts["name"] = found.name
    return Credential("api-key", fingerprint(key, "api-key", found.secret), facts)


def _session(fields: list[tuple[str, bytes]], masker: TextMasker) -> Carrier | None:
    for header, value in fields:
        if header != "cookie":
            continue
        for pair in value.split(b";"):
            raw_name, _, secret = pair.strip().partition(b"=")
            name = raw_name.decode("latin-1")
            if secret and masker.names.rule(name) in _CARRIERS:
                return Carrier("cookie", name, secret)
    return None


def _jwt(secret: bytes, masker: TextMasker, key: bytes) -> dict[str, str]:
    """Algorithm, expiry (seconds since the epoch), claim names, and a fingerprint of (iss, sub)."""
    if not 2 <= secret.count(b".") <= 4 or len(secret) > MAX_JWT:
        return {}
    parts = secret.decode("latin-1").split(".")
    header, claims = _json_object(parts[0]), _json_object(parts[1])
    if not header:
        return {}
    algorithm = header.get("alg")
    known = isinstance(algorithm, str) and _ALGORITHM.fullmatch(algorithm)
    facts = {"jwt.alg": str(algorithm) if known else "other"}
    expiry = claims.get("exp")
    if isinstance(expiry, (int, float)) and 0 <= expiry <= MAX_EXP:
        facts["jwt.exp"] = str(int(expiry))
    names = [name for name in sorted(claims) if _IDENTIFIER.fullmatch(name) and masker.name(name)[1] is None]
    if names:
        facts["jwt.claims"] = " ".join(names[:MAX_CLAIMS])
    subject = claims.get("sub")
    if isinstance(subject, str) and subject:
        owner = f"{claims.get('iss')}\0{subject}".encode("utf-8", "replace")
        facts["jwt.subject"] = fingerprint(key, "jwt.subject", owner)
    return facts


def _json_object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(decoded_base64(part))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
