"""Lines of a specification's file: JSON pointer → line, for reports and warnings that point into it.

The file has been read as a specification already, so it is well-formed. Only places down to `MAX_DEPTH` are
kept, which reaches an operation's single responses; what lies deeper is at the line of what holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import yaml

from server.analysis.specs.document.pointers import under

MAX_DEPTH = 5  # /paths/~1pets/get/responses/200

_JSON_TOKEN = re.compile(r'\n|[{}\[\]]|"(?:[^"\\]|\\.)*"|[^\s{}\[\]:,"]+')


class _Event(NamedTuple):
    """One event of a document: a scalar has a `text`. Lines count from 1."""

    what: Literal["object", "array", "end", "scalar"]
    line: int
    text: str = ""


def line_of(known: Mapping[str, int], place: str) -> int:
    """The line of a place, or of the closest one above it that the file has itself."""
    while place and place not in known:
        place = place.rpartition("/")[0]
    return known.get(place, 1)


def lines(text: str) -> dict[str, int]:
    """The lines of the places down to MAX_DEPTH: of a member that of its key."""
    found: dict[str, int] = {}
    open_: list[_Open] = []
    for event in _json(text) if text.lstrip().startswith(("{", "[")) else _yaml(text):
        if event.what == "end":
            open_.pop()
            continue
        parent = open_[-1] if open_ else None
        if parent is not None and parent.expects_key:
            parent.key, parent.line = event.text, event.line
            continue
        place, line = parent.next(event.line) if parent is not None else ("", event.line)
        if len(open_) <= MAX_DEPTH:
            found.setdefault(place, line)
        if event.what != "scalar":
            open_.append(_Open(place, event.what == "object"))
    return found


class _Open:
    """An open collection, at a pointer."""

    __slots__ = ("_index", "_object", "_pointer", "key", "line")

    def __init__(self, pointer: str, is_object: bool) -> None:
        self._pointer, self._object = pointer, is_object
        self._index = -1
        self.key: str | None = None
        self.line = 0

    @property
    def expects_key(self) -> bool:
        return self._object and self.key is None

    def next(self, line: int) -> tuple[str, int]:
        """The pointer and the line of its next value, which begins at `line`."""
        self._index += 1
        if self.key is None:
            return under(self._pointer, self._index), line
        place, self.key = under(self._pointer, self.key), None
        return place, self.line


def _json(text: str) -> Iterator[_Event]:
    line = 1
    for token in _JSON_TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token in "{[":
            yield _Event("object" if token == "{" else "array", line)
        elif token in "}]":
            yield _Event("end", line)
        else:
            yield _Event("scalar", line, json.loads(token) if token[0] == '"' else token)


def _yaml(text: str) -> Iterator[_Event]:
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.MappingStartEvent():
                yield _Event("object", line)
            case yaml.SequenceStartEvent():
                yield _Event("array", line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                yield _Event("end", line)
            case yaml.ScalarEvent():
                yield _Event("scalar", line, event.value)
            case yaml.AliasEvent():
                yield _Event("scalar", line)
