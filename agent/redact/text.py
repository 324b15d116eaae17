"""Judges one value: text that may hold JSON, a query string, a URL, percent-encoding, or just a secret."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import unquote

from agent.redact import json, json_tokens, paths, placeholders, values
from agent.redact.harmless import Harmless
from agent.redact.keys import Keys
from agent.redact.names import Names
from agent.redact.recurring import Recurring

MAX_NESTING = 3  # JSON within a string within JSON, percent-encoding of percent-encoding; deeper is masked
MAX_REPEATED = 2048  # texts whose judgement is remembered, none of them a secret
MAX_REPEATED_LENGTH = 256
MAX_PAIRS = 1024  # of queries and forms that are remembered, none of them with a secret
MAX_TEXT = 4096  # characters; longer text without structure is masked

_PAIR = re.compile(
    r"(?<![\w.$-])(?P<name>[A-Za-z_$][\w.$-]{0,63}+(?:\[[\w.-]{0,32}\])?)"
    r"[\\\"']{0,4}[ \t]{0,8}(?:=>|[=:])[ \t]{0,8}",
    re.ASCII,
)
_VALUE = re.compile(
    r"""\\{1,3}["'](?P<escaped>[^"'\\]*+)"""
    r"""|"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*)|'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*)"""
    r"""|(?P<bare>(?:[A-Za-z0-9-]{2,24}[ ]{1,4}(?=[^\s=]{8}))?[^\s&"'<>]++)""",
    re.DOTALL,
)
_COOKIES = re.compile(r"""(?:[^\s;"'<>=]|="[^\s;"]*"|=)+(?:;[ \t]{0,8}(?:[^\s;"'<>=]|="[^\s;"]*"|=)+)*""")
_TELLING = re.compile(r"[\s:=\"%/]")  # a short text with a secret has one of these
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_WORD = re.compile(r"[\w.-]+", re.ASCII)


class Judge:
    """Masks texts by what they hold, with the operator's names."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.keys = Keys(names)
        self.harmless = Harmless(names)
        self.plain_pairs: Recurring[bytes] = Recurring(MAX_PAIRS)
        self._often: dict[str, tuple[str, str | None]] = {}

    def text(self, text: str, depth: int = 0) -> tuple[str, str | None]:
        """`text` without its secrets, and the rule that found the first of them, or None."""
        if len(text) < values.TELLS_NOTHING and _TELLING.search(text) is None:
            return text, None
        if '"' in text and text.lstrip()[:1] in ("{", "[", '"'):
            nested = self._nested(text, depth)
            if nested is not None:
                return nested
        masked, rule = self._scan(text)
        hidden = self._hidden(masked, depth) if _ENCODED.search(masked) else None
        return (masked, rule) if hidden is None else (placeholders.of_text(text), hidden)

    def clean(self, text: str) -> bool:
        """Whether a text without structure may be kept: short, and no word or shape in it is suspicious."""
        if len(text) > MAX_TEXT or self.text(text)[1] is not None:
            return False
        raw = text.encode("utf-8", "surrogatepass")
        if b"\\" not in raw and not self.names.possible(raw):
            return True
        found = _WORD.findall(text)
        pairs = map(" ".join, pairwise(found))
        return not any(map(self.names.rule, (*found, *pairs)))

    def repeated(self, text: str) -> tuple[str, str | None]:
        """As `text`, for what comes with every message, such as a user agent: answers are kept a while."""
        known = self._often.get(text)
        if known is None:
            known = self.text(text)
            if len(self._often) >= MAX_REPEATED:
                self._often.clear()
            if len(text) <= MAX_REPEATED_LENGTH and known[1] is None:
                self._often[text] = known
        return known

    def pairs(self, text: str) -> tuple[str, str | None]:
        """As `text`, for one that is known to hold neither shapes nor escapes: by names alone."""
        return self._without(text, [])

    def _hidden(self, text: str, depth: int) -> str | None:
        """The rule that finds a secret behind percent-encoding."""
        if depth >= MAX_NESTING:
            return "nested"
        return self.text(unquote(text, errors="replace"), depth + 1)[1]

    def _nested(self, text: str, depth: int) -> tuple[str, str | None] | None:
        """The masked text where it is JSON from end to end."""
        if json_tokens.lexed(text) < len(text):
            return None
        if depth >= MAX_NESTING:
            return placeholders.of_text(text), "nested"
        rules: list[str] = []
        walked = json.mask(text, self, lambda _, rule: rules.append(rule), depth=depth + 1)
        return walked.text, rules[0] if rules else None

    def _scan(self, text: str) -> tuple[str, str | None]:
        return self._without(text, list(values.secrets(text)))

    def _without(self, text: str, spans: list[tuple[int, int, str]]) -> tuple[str, str | None]:
        """The text without `spans` and without what its names give away."""
        if "=" in text or ":" in text:
            spans += self._pairs(text)
        if "/" in text:
            spans += paths.secrets(text, self.names)
        return (replaced(text, spans), spans[0][2]) if spans else (text, None)

    def _pairs(self, text: str) -> list[tuple[int, int, str]]:
        spans, position = [], 0
        while (match := _PAIR.search(text, position)) is not None:
            position = match.end()
            rule = self.names.rule(match["name"])
            value = _value(match) if rule is not None else None
            if rule is not None and value is not None:
                spans.append((*value.span(value.lastgroup or 0), rule))
                position = value.end()  # not again within: that would take quadratic time
        return spans


def _value(pair: re.Match[str]) -> re.Match[str] | None:
    """What stands behind a pair's name; of a header of cookies, which are pairs themselves, all of them."""
    if pair["name"].lower().endswith("cookie") and pair[0].rstrip().endswith(":"):
        cookies = _COOKIES.match(pair.string, pair.end())
        if cookies is not None:
            return cookies
    return _VALUE.match(pair.string, pair.end())


def replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    """Each span (overlapping ones together) replaced by its placeholder."""
    parts: list[str] = []
    position = 0
    merged: list[list[int]] = []
    for start, end, _ in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        elif start < end:
            merged.append([start, end])
    for start, end in merged:
        parts += (text[position:start], placeholders.of_text(text[start:end]))
        position = end
    return "".join((*parts, text[position:]))
