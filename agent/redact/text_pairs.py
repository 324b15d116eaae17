"""Names and their values within a text: `password=…`, `token: "…"`, YAML, literals of GraphQL and JavaScript.

Names may also be values, as in `name: DB_PASSWORD, value: …`, by the rules of `labels.py`.
"""

from __future__ import annotations

import re

from agent.redact import labels, sentences, text_values
from agent.redact.keys import Keys
from agent.redact.names import Names
from agent.redact.roles import Group, Naming, PairRole
from agent.redact.text_values import NAME, SIGN, Span

_PAIR = re.compile(
    rf"(?<![\w.$-])(?P<name>{NAME})[\\\"'`)]{{0,4}}{SIGN}"
    r"(?:(?:[A-Za-z]{2,12}[ ]){0,2}value:?[ ]{1,2})?",  # of Kubernetes: `spec.pin: Invalid value: 4711`
    re.ASCII,
)
MAX_NAME = 64  # characters of a value that can be a name

_BOUNDARY = re.compile(r"[}\]>]|\n[ \t]*(?:-|\r?\n)")  # between entries of a list, elements, paragraphs

Found = tuple[int, int, str]
"""Where a secret starts and ends, and the rule that found it."""


def secrets(text: str, names: Names, keys: Keys) -> list[Found]:
    """The values of secrets' names in `text`, in any order."""
    found: list[Found] = []
    joined: list[tuple[re.Match[str], PairRole]] = []
    masked_to, outer = 0, None
    for pair in _PAIR.finditer(text):
        key = keys.named(pair["name"])
        if key.role is not None:
            joined.append((pair, key.role))
        if pair.end() < masked_to:
            continue  # not searched again inside: that would take quadratic time
        # A value may be a name, as in `auth: token: "…"`: the next value belongs to both.
        rule = key.rule or (outer if pair.start() < masked_to else None)
        rule = rule or sentences.rule_of(text, pair.start(), pair["name"], names)
        span = None if rule is None else _value(pair)
        if rule is not None and span is not None:
            found.append((*span, rule))
            masked_to, outer = span[1], rule
    return found + _beside(text, names, joined) if len(joined) > 1 else found


def _beside(text: str, names: Names, joined: list[tuple[re.Match[str], PairRole]]) -> list[Found]:
    """Values that are secrets because of a name beside them."""
    if all(role.naming is None for _, role in joined) or all(role.group is None for _, role in joined):
        return []
    entry = _Entry(text, names)
    for pair, role in joined:
        entry.add(pair, role)
    return entry.found


def _value(pair: re.Match[str]) -> Span | None:
    """The value after a pair's name; for a cookie header, whose cookies are pairs themselves, all of them."""
    text, at = pair.string, pair.end()
    is_header = pair["name"].lower().endswith("cookie") and pair[0].rstrip().endswith(":")
    return (text_values.cookies(text, at) if is_header else None) or text_values.first(text, at)


class _Entry:
    """The pairs of one list entry or one element: a name applies to values on either side."""

    def __init__(self, text: str, names: Names) -> None:
        self.found: list[Found] = []
        self._text = text
        self._names = names
        self._end = 0
        self._masked = 0, 0
        self._keys: set[str] = set()
        self._labels: dict[Group, labels.Label] = {}
        self._waiting: dict[Group, list[int]] = {}

    def add(self, pair: re.Match[str], role: PairRole) -> None:
        """Adds a pair."""
        if _BOUNDARY.search(self._text, self._end, pair.start()) is not None:
            self._keys.clear()
            self._labels.clear()
            self._waiting.clear()
        self._end = pair.end()
        if role.naming is not None:
            self._name(pair["name"], role.naming)
        if role.group is not None:
            label = self._labels.get(role.group)
            if label is None:
                self._waiting.setdefault(role.group, []).append(self._end)
            else:
                self._mask(label, self._end)

    def _name(self, key: str, naming: Naming) -> None:
        """Takes a value as a name, and masks the values before it that it names."""
        if key in self._keys:
            self._keys.clear()
            self._labels.clear()
        self._keys.add(key)
        name = text_values.word(self._text, self._end, MAX_NAME)
        label = labels.label(naming, name, self._names, patch=False)
        if label is not None:
            self._labels |= dict.fromkeys(label.groups, label)
            for at in sorted(at for group in label.groups for at in self._waiting.pop(group, ())):
                self._mask(label, at)

    def _mask(self, label: labels.Label, at: int) -> None:
        first, last = self._masked
        if first <= at < last:
            return  # not searched again inside
        span = text_values.first(self._text, at)
        if span is not None:
            self._masked = at, span[1]
            if not (label.texts_only and self._text[slice(*span)].isdigit()):
                self.found.append((*span, label.rule))
