"""Masks an event stream line by line (HTML Living Standard, section 9.2): data is JSON or text.

JSON may be split over events. From an event with unclosed brackets to the one that closes them, all data is
masked: a name may be in one event and its value in the next.
"""

from __future__ import annotations

import re
from itertools import groupby

from agent.redact import json_tokens, placeholders
from agent.redact.text import TextMasker

_HEAD = re.compile(r"(?:data|event|id|retry)?:[ ]?")
_LINE_END = re.compile(r"(\r\n|\r|\n)")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<end>"?)|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
_DATA = "data"


def mask(text: str, masker: TextMasker) -> tuple[str, list[str]]:
    """The masked stream, and the rule of each replaced value."""
    lines = _LINE_END.split(text)
    heads = [match[0] if (match := _HEAD.match(line)) else "" for line in lines[::2]]
    stream = _Stream(masker)
    rules: list[str] = []
    for _, run in groupby(range(len(heads)), lambda place: -1 if heads[place].startswith(_DATA) else place):
        places = list(run)
        values = [lines[2 * place][len(heads[place]) :] for place in places]
        masked, rule = stream.data(values) if heads[places[0]].startswith(_DATA) else stream.masked(values)
        if rule is not None:
            rules.append(rule)
            for place, value in zip(places, masked, strict=True):
                lines[2 * place] = heads[place] + value
    return "".join(lines), rules


class _Stream:
    """Masks the values of a stream, in order."""

    def __init__(self, masker: TextMasker) -> None:
        self._masker = masker
        self._open = 0  # unclosed JSON brackets of earlier events
        self._cut = ""  # the start of a string that earlier events left open

    def data(self, values: list[str]) -> tuple[list[str], str | None]:
        """The data of one event, which may be part of the JSON of several."""
        text = "\n".join(values)
        was_open = self._open > 0
        if not was_open and json_tokens.is_document(text):
            return self.masked(values)
        lowest, change, cut = _brackets(self._cut + text)
        if was_open or text.lstrip()[:1] in ("{", "["):
            self._open = max(0, self._open + change)
            self._cut = cut if self._open else ""
        if was_open or self._open or (lowest < 0 and json_tokens.lexed(text) == len(text)):
            return _hidden(values), "split"
        return self.masked(values)

    def masked(self, values: list[str]) -> tuple[list[str], str | None]:
        """One value, which may span lines."""
        text = "\n".join(values)
        new, rule = self._masker.text(text)
        if rule is None and json_tokens.lexed(text) < len(text) and not self._masker.clean(text):
            rule = "text"
        masked = new.split("\n")
        return (_hidden(values) if rule == "text" or len(masked) != len(values) else masked), rule


def _brackets(text: str) -> tuple[int, int, str]:
    """The lowest bracket depth, at most 0; the depth at the end; and, if a string is left open, a quote, with
    a backslash if its last character is half an escape.
    """
    depth = lowest = 0
    cut = ""
    for token in _TOKEN.finditer(text):
        depth += 1 if token["open"] else -1 if token["close"] else 0
        lowest = min(lowest, depth)
        if token["end"] == "":
            cut = '"\\' if token.end() < len(text) else '"'
    return lowest, depth, cut


def _hidden(values: list[str]) -> list[str]:
    return [placeholders.of_text(value) for value in values]
