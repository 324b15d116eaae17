"""Masks one value: text that may be or contain JSON, a query string, a URL, percent-encoding or a secret."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import unquote

from agent.redact import complaints, json, json_tokens, paths, placeholders, sentences, text_pairs, values
from agent.redact.clean_fragments import CleanFragments
from agent.redact.keys import Keys
from agent.redact.names import Names
from agent.redact.repeat_cache import RepeatCache

MAX_NESTING = 3  # JSON within a string within JSON, percent-encoding of percent-encoding; deeper is masked
MAX_REPEATED = 2048  # remembered texts, none of them a secret
MAX_REPEATED_LENGTH = 256
MAX_PAIRS = 1024  # remembered pairs of queries and forms, none with a secret
MAX_TEXT = 4096  # characters; longer text without structure is masked

_SEPARATOR = re.compile(r"[\s:=\"%/→⇒]")  # a short text with a secret has one of these
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_ENCODED_PIECE = re.compile(r"(?<=[&=?#;])[^\s&=?#;\"'<>%]*%[0-9A-Fa-f]{2}[^\s&=?#;\"'<>]*")
_WORD = re.compile(r"[\w.-]+", re.ASCII)


class TextMasker:
    """Masks texts by their content, with the operator's names."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.keys = Keys(names)
        self.clean_fragments = CleanFragments(names)
        self.plain_pairs: RepeatCache[bytes] = RepeatCache(MAX_PAIRS)
        self._often: dict[str, tuple[str, str | None]] = {}
        self._clean_names: RepeatCache[str] = RepeatCache(MAX_REPEATED)
        self._clean: RepeatCache[str] = RepeatCache(MAX_REPEATED)

    def text(self, text: str, depth: int = 0) -> tuple[str, str | None]:
        """`text` without its secrets, and the rule of the first one, or None."""
        if len(text) < values.SHORTEST_PLAIN and _SEPARATOR.search(text) is None:
            return text, None
        if '"' in text and text.lstrip()[:1] in ("{", "[", '"'):
            nested = self._nested(text, depth)
            if nested is not None:
                return nested
        masked, rule = self._scan(text)
        hidden = self._hidden(masked, depth) if _ENCODED.search(masked) else None
        return (masked, rule) if hidden is None else (placeholders.of_text(text), hidden)

    def name(self, name: str, depth: int = 0) -> tuple[str, str | None]:
        """Like `text`, for the name of a header, parameter or field, which may have lost its case."""
        if name in self._clean_names.known:
            return name, None
        spans = list(values.secrets_in_name(name))
        masked, rule = self.text(replaced(name, spans) if spans else name, depth)
        rule = spans[0][2] if spans else rule
        if rule is None and len(name) <= MAX_REPEATED_LENGTH:
            self._clean_names.add(name)
        return masked, rule

    def clean(self, text: str) -> bool:
        """Whether a text without structure may be kept: it is short, and no word or shape in it is
        suspicious.
        """
        if text in self._clean.known:
            return True
        if len(text) > MAX_TEXT or self.text(text)[1] is not None or not self._is_without_names(text):
            return False
        if len(text) <= MAX_REPEATED_LENGTH:
            self._clean.add(text)
        return True

    def _is_without_names(self, text: str) -> bool:
        raw = text.encode("utf-8", "surrogatepass")
        if b"\\" not in raw and not self.names.possible(raw):
            return True
        found = _WORD.findall(text)
        pairs = map(" ".join, pairwise(found))
        return not any(map(self.names.rule, (*found, *pairs)))

    def repeated(self, text: str) -> tuple[str, str | None]:
        """Like `text`, for values that occur in every message, such as a user agent: results are cached."""
        known = self._often.get(text)
        if known is None:
            known = self.text(text)
            if len(self._often) >= MAX_REPEATED:
                self._often.clear()
            if len(text) <= MAX_REPEATED_LENGTH and known[1] is None:
                self._often[text] = known
        return known

    def pairs(self, text: str) -> tuple[str, str | None]:
        """Like `text`, for one without shapes and escapes: only names are checked."""
        return self._without(text, [])

    def _hidden(self, text: str, depth: int) -> str | None:
        """The rule of a secret in percent-encoded text."""
        if depth >= MAX_NESTING:
            return "nested"
        found = self.text(unquote(text, errors="replace"), depth + 1)[1]
        for piece in (
            () if found else _ENCODED_PIECE.findall(text)
        ):  # each value of a form or query separately
            found = found or self.text(unquote(piece, errors="replace"), depth + 1)[1]
        return found

    def _nested(self, text: str, depth: int) -> tuple[str, str | None] | None:
        """The masked text if all of it is JSON."""
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
        """The text without `spans` and without the secrets found by their names."""
        if "=" in text or ":" in text:
            spans += text_pairs.secrets(text, self.names, self.keys)
        if "/" in text:
            spans += paths.secrets(text, self.names)
        if complaints.possible(text):
            spans += complaints.secrets(text, self.names)
        if sentences.possible(text, self.names):
            spans += sentences.secrets(text, self.names)
        return (replaced(text, spans), spans[0][2]) if spans else (text, None)


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
