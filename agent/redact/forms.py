"""Pairs of name and value: query strings, urlencoded forms, and the fields of multipart forms."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_to_bytes

from agent.frozen import dataclass
from agent.redact import placeholders
from agent.redact.json_walk import Masked
from agent.redact.text import Judge

MAX_DECODINGS = 4  # of percent-encoding in names and paths
MAX_PARTS = 1000  # of a multipart form; what follows is left out

# An authorization code is a secret, an error code is not: these beside it tell them apart.
_PART_HEADERS = frozenset((b"content-disposition", b"content-type", b"content-transfer-encoding"))
MAX_PART_HEADER = 32  # bytes of the name of any other header of a part
_OAUTH = frozenset(("grant_type", "redirect_uri", "code_verifier", "state", "client_id"))
_OAUTH_SECRETS = frozenset(("code", "assertion", "device_code", "user_code"))
_BESIDE = _OAUTH | _OAUTH_SECRETS
MAX_PLAIN_PAIR = 128  # bytes of a pair that is remembered where it needs no mask
_SAFE = "-._~!$'()*,;:@/?"
_DISPOSITION = re.compile(rb'(?i)^content-disposition:[^\r\n]*?;[ \t]*name="?([^"\r\n;]*)', re.MULTILINE)
_FILE = re.compile(rb"(?i)^content-disposition:[^\r\n]*?;[ \t]*filename\*?=", re.MULTILINE)
_FILE_NAME = re.compile(rb'(?i)(;[ \t]*filename\*?=)("(?:[^"\\\r\n]|\\.)*"|[^;\r\n]*)')


@dataclass(frozen=True, slots=True)
class Cut:
    """`data` is what is left after masking; `left_out` counts the input's bytes that are not in it."""

    data: bytes
    left_out: int


def mask_pairs(raw: bytes, judge: Judge, masked: Masked, *, cut: bool = False) -> Cut:
    """A query or urlencoded form; pairs without a secret stay as they are.

    Where `cut`, the last pair may be half of one and is left out. `masked` gets the decoded name.
    """
    left_out = 0
    if cut:
        whole, ampersand, _ = raw.rpartition(b"&")
        left_out, raw = len(raw) - len(whole + ampersand), whole + ampersand
    whole_pairs = raw.split(b"&")
    if judge.plain_pairs.known.issuperset(whole_pairs):
        return Cut(raw, left_out)
    pairs = [pair.partition(b"=") for pair in whole_pairs]
    names = [decoded(raw_name) for raw_name, _, _ in pairs]
    oauth = not _OAUTH.isdisjoint(names)
    for at, (pair, name) in enumerate(zip(pairs, names, strict=True)):
        new = _pair(pair, name, judge, masked, oauth and name in _OAUTH_SECRETS)
        if new is not None:
            whole_pairs[at] = new
        elif name not in _BESIDE and len(whole_pairs[at]) <= MAX_PLAIN_PAIR:
            judge.plain_pairs.came(whole_pairs[at])
    return Cut(b"&".join(whole_pairs), left_out)


def _pair(
    pair: tuple[bytes, bytes, bytes], name: str, judge: Judge, masked: Masked, oauth: bool
) -> bytes | None:
    """The pair without its secrets; None where it has none."""
    raw_name, equals, raw_value = pair
    value = decoded(raw_value)
    shown, rule = judge.text(name)
    if rule is not None:
        masked(shown, rule)
        raw_name = encoded(shown)
    by_name = "name:code" if oauth else judge.names.rule(fully(name))
    if by_name is not None and value:
        masked(shown, by_name)
        return raw_name + equals + encoded(placeholders.of_text(value))
    new, by_text = judge.text(value)
    if by_text is None:
        return None if rule is None else raw_name + equals + raw_value
    masked(shown, by_text)
    return raw_name + equals + encoded(new)


def decoded(raw: bytes) -> str:
    """One form-decoding; bytes that are not UTF-8 become U+FFFD."""
    if b"%" not in raw and b"+" not in raw:
        return raw.decode("utf-8", "replace")
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")


def fully(text: str) -> str:
    """Percent-decoded until nothing changes, or often enough."""
    for _ in range(MAX_DECODINGS):
        if "%" not in text:
            break
        text = unquote(text, errors="replace")
    return text


def encoded(text: str) -> bytes:
    """Percent-encoded so that it is one value of a query or form."""
    return quote(text, safe=_SAFE, errors="replace").encode()


def mask_multipart(raw: bytes, boundary: bytes, judge: Judge, masked: Masked, *, cut: bool = False) -> Cut:
    """multipart/form-data: fields by name and text, files replaced; a part without its end is left out."""
    delimiter = b"\r\n--" + boundary
    preamble, *pieces = (b"\r\n" + raw).split(delimiter, MAX_PARTS + 1)
    if not pieces:
        return Cut(b"", len(raw))
    end = pieces.pop()
    close = end[: 4 if end.startswith(b"--\r\n") else 2] if end.startswith(b"--") else b""
    parts = [_part(piece, judge, masked) for piece in pieces]
    left_out = len(preamble) + len(end) - len(close)
    return Cut(delimiter.join([b"", *parts, close])[2:] if parts or close else b"", left_out)


def _part(piece: bytes, judge: Judge, masked: Masked) -> bytes:
    head, blank, content = piece.partition(b"\r\n\r\n")
    found = _DISPOSITION.search(head)
    name = decoded(found[1]) if found else ""
    shown, odd = judge.text(name)
    if not blank or found is None or odd is not None:
        masked(shown, odd or "malformed")
        return b"\r\n\r\n" + placeholders.of_bytes(len(content))
    new_head = _part_head(head, judge)
    if _FILE.search(head):
        masked(name, "file")
        return new_head + blank + placeholders.of_bytes(len(content))
    new, rule = _field(name, content, judge)
    if rule is not None or new_head != head:
        masked(name, rule or "header")
    return new_head + blank + (content if rule is None else new)


def _part_head(head: bytes, judge: Judge) -> bytes:
    """The part's header lines: what is not about the form is masked like any header."""
    lines = _FILE_NAME.sub(rb'\1"redacted"', head).split(b"\r\n")
    for i, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        if name.lower() in _PART_HEADERS:
            text, rule = judge.text(value.decode("latin-1"))
            lines[i] = line if rule is None else name + colon + text.encode("latin-1", "replace")
        elif line:
            lines[i] = name[:MAX_PART_HEADER] + colon + placeholders.of_bytes(len(value))
    return b"\r\n".join(lines)


def _field(name: str, content: bytes, judge: Judge) -> tuple[bytes, str | None]:
    rule = judge.names.rule(name)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return placeholders.of_bytes(len(content)), rule or "binary"
    if rule is not None:
        return placeholders.of_text(text).encode(), rule if text else None
    new, rule = judge.text(text)
    return new.encode("utf-8", "replace"), rule
