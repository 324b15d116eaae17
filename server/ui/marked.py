"""A body and an excerpt of a document, line by line, with the places marked that a deviation is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import yaml

from server.analysis.specs.deviation import Deviation
from server.analysis.specs.excerpts import Excerpt
from server.analysis.specs.kinds import Kind, Where
from server.api.exchange_models import Message
from server.ui.laid_out import TextLine, json_lines
from server.ui.show import is_json_text, text

MAX_LINES = 2_000
MAX_EXCERPT = 20_000  # characters
FOUND = {'"': "a string", "{": "an object", "[": "an array", "t": "a boolean", "f": "a boolean", "n": "null"}
"""The beginning of a value in JSON → its type in words."""


def body_lines(json: str, deviations: Iterable[Deviation]) -> list[TextLine]:
    """A body with its deviations at their places; that of what is not there is at what should contain it."""
    lines = [*islice(json_lines(json), MAX_LINES + 1)]
    there = {line.place for line in lines}
    notes: dict[str | None, list[Deviation]] = {}
    for one in deviations:
        at = one.pointer if one.pointer in there else one.pointer.rpartition("/")[0]
        notes.setdefault(at, []).append(one)
    found: list[TextLine] = []
    for line in lines[:MAX_LINES]:
        said = [_said(one, line) for one in notes.get(line.place, ())] if line.place is not None else []
        found.append(TextLine(line.text, line.place, bool(said), said))
    return found if len(lines) <= MAX_LINES else [*found, TextLine("\u2026")]


def _said(one: Deviation, line: TextLine) -> str:
    """The message; of what is missing with its name, of a wrong type with what was found instead."""
    if one.pointer != line.place:
        return f"{one.pointer.rpartition('/')[2]}: {one.message}"
    if one.kind is not Kind.TYPE:
        return one.message
    value = line.text.strip().partition(": ")[2] or line.text.strip()
    return f"{one.message}, but {FOUND.get(value[:1], 'a number')}"


def excerpt_lines(excerpt: Excerpt) -> list[TextLine]:
    """A part of a document as YAML, with the entry marked that its keys lead to."""
    text = yaml.safe_dump(excerpt.node, sort_keys=False, allow_unicode=True, width=1000)
    lines = (text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "\u2026").splitlines()
    first, last = _entry(lines, excerpt.marked)
    return [TextLine(one, None, first <= number < last) for number, one in enumerate(lines)]


def _entry(lines: Sequence[str], keys: Sequence[str]) -> tuple[int, int]:
    """The numbers of the first line of an entry, and of the first one after it; (0, 0) if it is not there."""
    start, end = 0, len(lines) if keys else 0
    for depth, key in enumerate(keys):
        opening = "  " * depth + yaml.safe_dump(key, width=1000).partition("\n")[0] + ":"
        start = next((n for n in range(start, end) if lines[n].startswith(opening)), end)
        if start == end:
            return 0, 0
        inner = (
            n
            for n in range(start + 1, end)
            if not lines[n].startswith(("  " * (depth + 1), "  " * depth + "- "))
        )
        end = next(inner, end)
    return start, end


def marked_body(message: Message | None, where: Where, deviations: Iterable[Deviation]) -> list[TextLine]:
    """A message's body with a note at each place of these deviations in it; none if there is none, or the
    body is not stored as JSON.
    """
    inside = [one for one in deviations if one.where is where]
    json = text(message.body) if message else None
    if not inside or message is None or not json or not is_json_text(message, json):
        return []
    return body_lines(json, inside)
