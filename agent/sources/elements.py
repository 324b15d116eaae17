"""The elements of an array in a JSON document of any size, one at a time, as bytes.

The document is never in memory as a whole. Elements come in one of two ways:

- by far most in bulk: a piece of the document, up to the last place that looks like the space between the
  first two elements, is split by a JSON decoder in C. What it accepts from the start of an element on is
  a sequence of whole elements, so a place that only looks like one is noticed;
- those at the ends of the array, and around anything that is no JSON, one by one, by their brackets and
  strings alone: the caller decodes each, so an invalid one does not affect the others.

A file may hold several documents, one after the other; what stands between them and is none is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder

MAX_ELEMENT = 24 * 1024 * 1024
"""Bytes of one element: a body of 16 MiB in base64, and its heads."""

PIECE = 256 * 1024
_BEFORE = 64  # bytes before a bracket that may contain the array's name

_OUTSIDE = re.compile(rb'[^"{}\[\]]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"{}\[\]]*)*', re.DOTALL)
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_STRAY = re.compile(rb'(?:[^\s,"]|"(?:[^"\\]|\\.)*"?)(?:[^,"]|"(?:[^"\\]|\\.)*"?)*', re.DOTALL)
_DOCUMENT = re.compile(rb'\{\s{0,256}"[^"\\\r\n]{1,64}"\s{0,256}:')
_DOCUMENT_START = 1024  # bytes that hold whatever _DOCUMENT finds
_NO_TEXT = b" \t\r\n\xef\xbb\xbf"
_NEXT = re.compile(rb'\s*,\s*(\{)\s*"[^"\\]{1,64}"')
_OPENING, _QUOTE = frozenset(b"{["), ord('"')
_GUESSES = 4  # at places like the one between two elements, with the first key or without it
_array_of = Decoder(list[Raw]).decode


@dataclass(frozen=True, slots=True)
class Element:
    """One element; `raw` is None if it is larger than MAX_ELEMENT."""

    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Stray:
    """A value between the elements that is no object or array."""


@dataclass(frozen=True, slots=True)
class Interlude:
    """Bytes between documents, or after the last one, that belong to none."""

    size: int


Part = Element | Stray | Interlude


class Absent(ValueError):
    """The document has no such array."""


class EndMissing(ValueError):
    """The file ends before its last document does."""


def elements(read: Callable[[int], bytes], name: bytes, depth: int) -> Iterator[Part]:
    """The objects in each array named `name` at a depth of `depth` brackets. At the end raises Absent if
    there was none, and EndMissing.
    """
    return _Scan(depth, name).run(read)


def elements_of_array(read: Callable[[int], bytes]) -> Iterator[Part]:
    """The objects of a document that is an array. Raises EndMissing at the end."""
    return _Scan(0, None).run(read)


def elements_of_stream(read: Callable[[int], bytes]) -> Iterator[Part]:
    """The objects of a file that is one document after the other. Raises EndMissing at the end."""
    return _Scan(-1, None).run(read)


def ends_early(text: bytes) -> bool:
    """Whether a text of JSON ends within an object, an array or a string of one."""
    pieces = iter((text,))
    try:
        for _ in elements_of_stream(lambda _size: next(pieces, b"")):
            pass
    except EndMissing:
        return True
    return False


def _element(raw: bytes) -> Element | Stray:
    if raw[0] not in _OPENING:
        return Stray()
    return Element(raw if len(raw) <= MAX_ELEMENT else None)


class _Scan:
    """The state of the scan: `depth` of brackets, inside a string or not, inside the array or not, inside an
    element. The array without a name is known to be there; at depth -1 it is the file.
    """

    def __init__(self, depth: int, name: bytes | None) -> None:
        self._wanted = re.compile(rb'"' + re.escape(name or b"") + rb'"\s*:\s*')
        self._array_depth = depth
        self._depth = 0
        self._in_string = False
        self._in_array = self._found = name is None
        self._named = name is not None
        self._foreign = 0
        self._start: int | None = None  # start of the element in the buffer
        self._too_large = False
        self._glued = 0  # start of the text between elements
        self._buffer = bytearray()
        self._at = 0

    def run(self, read: Callable[[int], bytes]) -> Iterator[Part]:
        while piece := read(PIECE):
            self._buffer += piece
            yield from self._next()
            self._forget()
        yield from self._scan()
        if not self._found:
            raise Absent(self._wanted.pattern)
        if self._depth > 0 or self._in_string:
            raise EndMissing
        if self._named:
            self._skip_to(len(self._buffer))
            yield from self._foreign_text()

    def _next(self) -> Iterator[Part]:
        """What the buffer has in bulk; one by one up to the next element, if the buffer begins inside one."""
        found = self._bulk()
        if found:
            yield from found
            return
        tried = False
        for one in self._scan():
            yield one
            if not tried and isinstance(one, Element):
                tried = True
                if found := self._bulk():
                    yield from found
                    return

    def _bulk(self) -> list[Element | Stray]:
        """Whole elements from here on, taken from the buffer; none if the scan is inside one, or if there is
        anything that is no JSON.
        """
        buffer = self._buffer
        if self._in_string or not self._in_array or self._depth != self._array_depth + 1:
            return []
        following = _NEXT.match(buffer, self._glued)
        if following is None:
            return []
        start, first = following.start(1), following.end()
        whole, short = b"}" + following[0], b"}" + bytes(buffer[self._glued : start + 1])
        for end in chain(self._guesses(whole, first), self._guesses(short, first)):
            try:
                found = _array_of(b"[" + bytes(buffer[start:end]) + b"]")
            except (MsgspecError, RecursionError):
                continue
            self._at = self._glued = end
            return [_element(bytes(one)) for one in found]
        return []

    def _guesses(self, between: bytes, first: int) -> Iterator[int]:
        """Where an element may end, from the last place on."""
        at = len(self._buffer)
        for _ in range(_GUESSES):
            at = self._buffer.rfind(between, first, at)
            if at < 0:
                return
            yield at + 1

    def _scan(self) -> Iterator[Part]:
        buffer = self._buffer
        while self._at < len(buffer):
            if self._named and self._depth == 0:
                document = _DOCUMENT.search(buffer, self._at)
                if document is None:
                    self._skip_to(max(self._at, len(buffer) - _DOCUMENT_START))
                    return
                self._skip_to(document.start())
                yield from self._foreign_text()
            if self._in_string:
                match = _INSIDE.match(buffer, self._at)
                assert match is not None
                self._at = match.end()
                if self._at == len(buffer) or buffer[self._at] != _QUOTE:
                    return  # inside the string, possibly after a backslash
                self._in_string = False
                self._at += 1
                continue
            match = _OUTSIDE.match(buffer, self._at)
            assert match is not None
            self._at = match.end()
            if self._at == len(buffer):
                return
            byte = buffer[self._at]
            if byte == _QUOTE:
                self._in_string = True
                self._at += 1
            elif byte in _OPENING:
                yield from self._open(byte)
            else:
                yield from self._close()

    def _skip_to(self, end: int) -> None:
        """Counts what stands between documents up to here."""
        self._foreign += len(self._buffer[self._at : end].strip(_NO_TEXT))
        self._at = end

    def _foreign_text(self) -> Iterator[Interlude]:
        if self._foreign and self._found:
            yield Interlude(self._foreign)
        self._foreign = 0

    def _open(self, byte: int) -> Iterator[Stray]:
        if self._in_array and self._depth == self._array_depth + 1:
            yield from self._between()
            self._start = self._at
        elif self._in_array and self._depth == self._array_depth:
            self._glued = self._at + 1
        elif byte == ord("[") and self._depth == self._array_depth and not self._in_array:
            before = bytes(self._buffer[max(0, self._at - _BEFORE) : self._at])
            named = before.rfind(b'"', 0, before.rfind(b'"'))
            self._in_array = named >= 0 and self._wanted.fullmatch(before, named) is not None
            self._found = self._found or self._in_array
            self._glued = self._at + 1
        self._depth += 1
        self._at += 1

    def _close(self) -> Iterator[Element | Stray]:
        self._depth -= 1
        if self._in_array and self._depth == self._array_depth + 1:
            raw = None if self._start is None else bytes(self._buffer[self._start : self._at + 1])
            found = Element(None if self._too_large else raw)
            self._start, self._too_large, self._glued = None, False, self._at + 1
            self._at += 1
            yield found
            return
        if self._in_array and self._depth <= self._array_depth:
            yield from self._between()
            self._in_array = False
        self._at += 1

    def _between(self) -> Iterator[Stray]:
        for _ in _STRAY.finditer(self._buffer, self._glued, self._at):
            yield Stray()

    def _forget(self) -> None:
        """Drops the scanned bytes, except those of an element that has begun."""
        if self._start is not None and len(self._buffer) - self._start > MAX_ELEMENT:
            self._start, self._too_large = None, True
        if self._start is not None:
            keep = self._start
        elif self._in_array and not self._too_large and self._at - self._glued <= PIECE:
            keep = self._glued
        else:
            keep = max(0, self._at - _BEFORE)
        del self._buffer[:keep]
        self._at -= keep
        self._glued = max(0, self._glued - keep)
        if self._start is not None:
            self._start = 0
