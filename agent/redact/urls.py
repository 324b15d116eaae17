"""Masks targets and URLs: authority, path and query; the rest stays byte for byte."""

from __future__ import annotations

import re

from agent.frozen import dataclass
from agent.redact import forms, paths, placeholders, values
from agent.redact.mask_log import MaskLog
from agent.redact.text import TextMasker, replaced

_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]{0,31})://([^/?#]*)(.*)", re.DOTALL)
_NO_NAME = re.compile(r"[A-Z_]|[0-9](?:-?[0-9]){12}|%")  # host names have none of these
SHORT = 3  # characters of a segment that is not examined


@dataclass(frozen=True, slots=True)
class Target:
    """A request target. `scheme` and `authority` are None in origin form."""

    scheme: str | None
    authority: bytes | None
    path: bytes
    query: bytes | None


def mask_target(raw: bytes, masker: TextMasker, log: MaskLog, *, connect: bool = False) -> Target:
    """The masked parts of a request target (RFC 9112 section 3.2); with `connect` it is an authority."""
    if connect:
        asked = mask_authority(raw, log)
        return Target(None, asked, asked, None)
    target = split_target(raw)
    return Target(
        target.scheme,
        None if target.authority is None else mask_authority(target.authority, log),
        mask_path(target.path, masker, log),
        None if target.query is None else mask_query(target.query, masker, log),
    )


def split_target(raw: bytes) -> Target:
    """The parts of a target, as sent."""
    absolute = None if raw.startswith(b"/") else _ABSOLUTE.fullmatch(raw)
    scheme, authority = (absolute[1].decode().lower(), absolute[2]) if absolute else (None, None)
    path, mark, query = (absolute[3] if absolute else raw).partition(b"?")
    return Target(scheme, authority, path, query if mark else None)


def mask_authority(raw: bytes, log: MaskLog, where: str = "header", pointer: str = "host") -> bytes:
    """host:port; user-info is masked, and a host with the shape of a secret and not of a host name."""
    user, at, host = raw.rpartition(b"@")
    text = host.decode("latin-1")
    if _NO_NAME.search(text) is not None:
        host = _host(host, text, log, where, pointer)
    if not at:
        return host
    log.add(where, pointer, "user-info")
    return placeholders.of_bytes(len(user)) + at + host


def _host(raw: bytes, text: str, log: MaskLog, where: str, pointer: str) -> bytes:
    text = forms.fully(text)
    found = [span for span in values.secrets(text) if _NO_NAME.search(text[span[0] : span[1]])]
    if not found:
        return raw
    log.add(where, pointer, found[0][2])
    return forms.encoded(replaced(text, found))


def mask_query(raw: bytes, masker: TextMasker, log: MaskLog, where: str = "query") -> bytes:
    """Masks a query, given without its "?"."""
    if not raw:
        return raw
    return forms.mask_pairs(raw, masker, lambda name, rule: log.add(where, name, rule)).data


def mask_path(raw: bytes, masker: TextMasker, log: MaskLog) -> bytes:
    """Masks a path by segments: by their shape, and by name if the segment before is a secret's name."""
    segments = raw.split(b"/")
    before = ""
    first = 1 if raw.startswith(b"/") else 0
    for i, segment in enumerate(segments):
        if not segment:
            continue
        text = forms.fully(segment.decode("utf-8", "surrogateescape"))
        new, rule = _segment(text, before, masker)
        if rule is not None:
            log.add("path", str(i - first), rule)
            segments[i] = forms.encoded(new).replace(b"/", b"%2F").replace(b"?", b"%3F")
        before = text
    return b"/".join(segments)


def _segment(text: str, before: str, masker: TextMasker) -> tuple[str, str | None]:
    rule = paths.rule(before, text, masker.names) if before else None
    if rule is not None:
        secret = paths.without_type(text)
        return placeholders.of_text(secret) + text[len(secret) :], rule
    if "@" in text and before.endswith(":"):  # a URL inside the path, split at its slashes
        user, at, host = text.rpartition("@")
        return placeholders.of_text(user) + at + masker.text(host)[0], "shape:user-info"
    if len(text) <= SHORT:
        return text, None
    masked, rule = masker.text(text)
    return (masked, None) if rule is None else (_with_its_type(text, masked, masker), rule)


def _with_its_type(text: str, masked: str, masker: TextMasker) -> str:
    """A masked segment with the type of file that it ended in, if the rest alone is masked, too."""
    stem = paths.without_type(text)
    shown, rule = masker.text(stem)
    return masked if rule is None else shown + text[len(stem) :]


def mask_url(raw: bytes, masker: TextMasker, log: MaskLog, where: str, pointer: str) -> bytes:
    """Masks a URL or reference in a header: user-info, path, query and fragment, all logged at the header."""
    rest, sharp, fragment = raw.partition(b"#")
    absolute = None if rest.startswith(b"/") else _ABSOLUTE.fullmatch(rest)
    own = MaskLog()
    prefix = b""
    if absolute:
        prefix, rest = absolute[1] + b"://" + mask_authority(absolute[2], own), absolute[3]
    path, mark, query = rest.partition(b"?")
    masked = prefix + mask_path(path, masker, own) + mark + mask_query(query, masker, own)
    masked += sharp + mask_query(fragment, masker, own)
    for mask in own.masks:
        log.add(where, pointer, mask.rule)
    return masked
