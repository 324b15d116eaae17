"""JSON, indented line by line; each line knows the place of its value. What is no JSON is laid out, too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.analysis.specs.document.pointers import pointer

MAX_DEPTH = 60  # the largest indent
JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.?)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
PUNCTUATION = frozenset("{}[],:")


@dataclass(frozen=True, slots=True)
class TextLine:
    """`place` is the JSON pointer of the value that begins on it; None if none does."""

    text: str
    place: str | None = None
    marked: bool = False
    notes: Sequence[str] = ()


def json_lines(source: str) -> Iterator[TextLine]:
    """JSON, indented; its tokens stay as sent. What is no JSON stays on one line, more or less."""
    path: list[str | int] = []
    text, place, last = "", None, ""
    opened: list[str] = []
    for token in JSON_TOKEN.findall(source):
        closes = token in ("}", "]")
        if closes and opened:
            opened.pop()
            path.pop()
        if (last in ("{", "[") and not closes) or last == "," or (closes and last not in ("{", "[")):
            yield TextLine(text, place)
            text, place = "  " * min(len(opened), MAX_DEPTH), None
        elif last and not {last, token} & PUNCTUATION:
            text += " "
        if opened and not closes and token not in (",", ":"):
            if opened[-1] == "[" and last in ("[", ","):
                path[-1] = int(path[-1]) + 1
                place = _place(path)
            elif opened[-1] == "{" and last in ("{", ","):
                path[-1] = _name(token)
                place = _place(path)
        elif not opened and not closes:
            place = ""
        text += ": " if token == ":" else token
        if token in ("{", "["):
            opened.append(token)
            path.append(-1 if token == "[" else "")
        last = token
    yield TextLine(text, place)


def _place(path: Sequence[str | int]) -> str | None:
    """None below MAX_DEPTH: hostile text may be as deep as it is long."""
    return pointer(path) if len(path) <= MAX_DEPTH else None


def _name(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token.strip('"')
