"""Pairs of name and value: query strings and urlencoded forms."""

from __future__ import annotations

from urllib.parse import quote, unquote, unquote_to_bytes

from agent.frozen import dataclass
from agent.redact import labels, placeholders
from agent.redact.json_walk import Masked
from agent.redact.text import TextMasker

MAX_DECODINGS = 4  # levels of percent-encoding that are undone in names and paths

# An authorization code is a secret, an error code is not: these neighbours distinguish them.
_OAUTH = frozenset(("grant_type", "redirect_uri", "code_verifier", "state", "client_id"))
_BESIDE = _OAUTH | {"code"}
MAX_PLAIN_PAIR = 128  # bytes of a pair remembered as needing no mask
_SAFE = "-._~!$'()*,;:@/?"


@dataclass(frozen=True, slots=True)
class Cut:
    """`data` is the masked data; `left_out` counts input bytes that are not in it."""

    data: bytes
    left_out: int


def mask_pairs(
    raw: bytes, masker: TextMasker, masked: Masked, *, cut: bool = False, is_form: bool = False
) -> Cut:
    """Masks a query or urlencoded form; pairs without a secret stay unchanged.

    If `cut`, the last pair may be incomplete and is left out. `masked` is called with the decoded name.
    """
    left_out = 0
    if cut:
        whole, ampersand, _ = raw.rpartition(b"&")
        left_out, raw = len(raw) - len(whole + ampersand), whole + ampersand
    whole_pairs = raw.split(b"&")
    if masker.plain_pairs.known.issuperset(whole_pairs):
        return Cut(raw, left_out)
    pairs = [pair.partition(b"=") for pair in whole_pairs]
    texts = [(decoded(name), decoded(value)) for name, _, value in pairs]
    rules = _rules(texts, masker, is_form)
    for at, (pair, text, rule) in enumerate(zip(pairs, texts, rules, strict=True)):
        new = _pair(pair, text, masker, masked, rule)
        if new is not None:
            whole_pairs[at] = new
        elif len(whole_pairs[at]) <= MAX_PLAIN_PAIR and _is_alone(text[0], masker):
            masker.plain_pairs.add(whole_pairs[at])
    return Cut(b"&".join(whole_pairs), left_out)


def _rules(pairs: list[tuple[str, str]], masker: TextMasker, is_form: bool) -> list[str | None]:
    """The rule of each pair that is a secret because of its name or of other pairs."""
    names = [name for name, _ in pairs]
    oauth = not _OAUTH.isdisjoint(names) or (is_form and names == ["code"])
    beside = labels.beside(pairs, masker.names, masker.keys)
    return [
        "name:code" if oauth and name == "code" else masker.names.rule(fully(name)) or rule
        for name, rule in zip(names, beside, strict=True)
    ]


def _is_alone(name: str, masker: TextMasker) -> bool:
    """Whether no other pair can make the value of this name a secret."""
    role = masker.keys.named(name).role
    return name not in _BESIDE and (role is None or role.group is None)


def _pair(
    pair: tuple[bytes, bytes, bytes],
    text: tuple[str, str],
    masker: TextMasker,
    masked: Masked,
    by_name: str | None,
) -> bytes | None:
    """The masked pair; None if it has no secret."""
    raw_name, equals, raw_value = pair
    name, value = text
    shown, rule = masker.name(name)
    if rule is not None:
        masked(shown, rule)
        raw_name = encoded(shown)
    if by_name is not None and value:
        masked(shown, by_name)
        return raw_name + equals + encoded(placeholders.of_text(value))
    new, by_text = masker.text(value)
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
    """Percent-decoded until nothing changes, at most MAX_DECODINGS times."""
    for _ in range(MAX_DECODINGS):
        if "%" not in text:
            break
        text = unquote(text, errors="replace")
    return text


def encoded(text: str) -> bytes:
    """Percent-encoded so that it is one value of a query or form."""
    return quote(text, safe=_SAFE, errors="replace").encode()
