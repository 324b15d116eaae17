"""JSON or YAML bytes → a document of plain JSON values, within bounds.

YAML is read as its JSON-compatible subset (YAML 1.2): dates, `no` and `010` stay strings, keys are strings.
It is built from the C parser's events without recursion, so depth and aliases are counted before they cost
anything.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Never

import yaml

from server.analysis.json import Json, JsonObject
from server.analysis.specs.model import SpecError

MAX_BYTES = 64 * 1024 * 1024  # Microsoft Graph's has 47 MB
MAX_NODES = 3_000_000  # values in the document, with aliases expanded; one takes 30 to 250 bytes of memory
MAX_DEPTH = 100

_JSON_START = re.compile(r"\s*[\[{]")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,300})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"})


def parse(raw: bytes) -> JsonObject:
    """The document in `raw`. Raises SpecError."""
    document = parse_any(raw)
    if not isinstance(document, dict):
        raise SpecError("", "the document is not a JSON object or YAML mapping")
    return document


def parse_any(raw: bytes) -> Json:
    """The JSON or YAML value in `raw`. Raises SpecError."""
    if len(raw) > MAX_BYTES:
        raise SpecError("", f"the document is larger than {MAX_BYTES // 2**20} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"line {raw.count(10, 0, error.start) + 1}", "not UTF-8") from None
    if _JSON_START.match(text):
        _bound_json(raw)
        document = _json(text)
    else:
        document = _yaml(text)
    _bound(document)
    return document


def _bound_json(raw: bytes) -> None:
    """Refuses JSON of too many values before they cost memory. Each value but the first of a collection
    follows a comma; those in strings are left out only if all are too many.
    """
    if _marks(raw) > MAX_NODES and _marks(_STRING.sub(b"", raw)) > MAX_NODES:
        raise SpecError("", f"holds more than {MAX_NODES} values")


def _marks(raw: bytes) -> int:
    return sum(map(raw.count, (b",", b"[", b"{")))


def _json(text: str) -> Json:
    try:
        document: Json = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise SpecError(f"line {error.lineno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise SpecError("", f"nests deeper than {MAX_DEPTH} levels") from None
    except SpecError:
        raise
    except ValueError:
        raise SpecError("", "not JSON: a number is out of range") from None
    return document


def _refuse_constant(name: str) -> Never:
    raise ValueError(name)


def _unique(members: list[tuple[str, Json]]) -> JsonObject:
    found = dict(members)
    if len(found) < len(members):
        counts = Counter(key for key, _ in members)
        raise SpecError("", _twice(counts.most_common(1)[0][0]))
    return found


def _twice(key: str) -> str:
    return f"one mapping has the key {json.dumps(key[:80])} twice, of which one would be lost"


def _bound(document: Json) -> None:
    """Refuses a document that is too deep, too large with expanded aliases, or cannot be JSON in UTF-8."""
    count, depth, level = 0, 0, [document]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise SpecError("", f"nests deeper than {MAX_DEPTH} levels")
        below: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
                _check_texts(value)
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                _check_texts((value,))
            elif isinstance(value, float) and not math.isfinite(value):
                raise SpecError("", "a number is out of range")
        count += len(below)
        if count > MAX_NODES:
            raise SpecError("", f"holds more than {MAX_NODES} values")
        level = below


def _check_texts(texts: Iterable[str]) -> None:
    for text in texts:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise SpecError("", "a string holds half of a surrogate pair") from None


def _yaml(text: str) -> Json:
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(f"line {mark.line + 1}" if mark else "", f"not YAML: {error.problem}") from None
    except SpecError:
        raise
    except (yaml.YAMLError, ValueError):
        raise SpecError("", "not YAML: a character that YAML does not allow") from None
    return builder.document


class _Open:
    """An open collection."""

    __slots__ = ("anchor", "before", "items", "key", "merged", "value")

    def __init__(self, value: JsonObject | list[Json], anchor: str | None, before: int) -> None:
        self.value, self.anchor, self.before = value, anchor, before
        self.key: str | None = None
        self.merged: list[JsonObject] = []


class _Builder:
    """Builds plain values from YAML events, and counts nodes with aliases expanded."""

    def __init__(self) -> None:
        self.document: Json = None
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                if self._expects_key():
                    self._key(event.value, event)
                else:
                    self._add(_scalar(event), event.anchor, self._nodes)
            case yaml.MappingStartEvent():
                self._start({}, event)
            case yaml.SequenceStartEvent():
                self._start([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise SpecError(_line(event), "a second YAML document in the same file")

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _start(self, value: JsonObject | list[Json], event: yaml.CollectionStartEvent) -> None:
        if self._expects_key():
            raise SpecError(_line(event), "a mapping's key is not a scalar")
        if len(self._open) >= MAX_DEPTH:  # checked here: the parser takes quadratic time in depth
            raise SpecError(_line(event), f"nests deeper than {MAX_DEPTH} levels")
        self._open.append(_Open(value, event.anchor, self._nodes))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for source in done.merged:
                self._count(len(source))
                for key, value in source.items():
                    done.value.setdefault(key, value)
        self._add(done.value, done.anchor, done.before)

    def _alias(self, event: yaml.AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise SpecError(_line(event), "an alias to an anchor that is not complete before it")
        value, size = known
        if self._expects_key():
            if not isinstance(value, str):
                raise SpecError(_line(event), "a mapping's key is not a scalar")
            self._key(value, event)
        else:
            self._count(size)
            self._add(value, None, self._nodes)

    def _key(self, key: str, event: yaml.Event) -> None:
        """A key, checked to be unique (YAML 1.2, 3.2.1.3): of two equal ones, one would be lost."""
        if key in self._open[-1].value:
            raise SpecError(_line(event), _twice(key))
        self._open[-1].key = key

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise SpecError("", f"holds more than {MAX_NODES} values once aliases are written out")

    def _add(self, value: Json, anchor: str | None, before: int) -> None:
        self._count(1)
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - before)
        if not self._open:
            self.document = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key == "<<" and (sources := _mergeable(value)):
            parent.merged.extend(sources)
            parent.key = None
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None


def _mergeable(value: Json) -> list[JsonObject]:
    """The mappings that `<<` merges; none if its value is neither a mapping nor a list of mappings."""
    values = value if isinstance(value, list) else [value]
    sources = [source for source in values if isinstance(source, dict)]
    return sources if len(sources) == len(values) else []


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else ""


def _scalar(event: yaml.ScalarEvent) -> Json:
    text = event.value
    if event.tag in _TEXT_TAGS or (event.tag is None and not event.implicit[0]):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
