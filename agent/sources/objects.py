"""The JSON objects of a file: one a line, one over several lines, or the elements of an array.

By lines an object that is cut or broken affects no other. A file is read by lines if its first line holds a
whole object. A last line that is cut is the file's missing end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from agent.sources.content import File
from agent.sources.elements import Element, EndMissing, elements_of_array, elements_of_stream, ends_early
from agent.sources.lines import MAX_LINE, Lines, lines
from agent.sources.reported import CutShort, Entry, EntryError, UnreadableEntry

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


def entries_of(file: File, read: Callable[[bytes, int], Entry]) -> Iterator[Entry]:
    """What `read` makes of each object and its number, from 1 on; where it raises EntryError, the place and
    reason.
    """
    index = 0
    try:
        for index, (place, raw) in enumerate(objects(file), 1):
            yield _entry(raw, index, place, read)
    except EndMissing as end:
        yield CutShort(str(end) or f"after object {index}")


def _entry(raw: bytes | None, index: int, place: str, read: Callable[[bytes, int], Entry]) -> Entry:
    try:
        return UnreadableEntry(place, "too long") if raw is None else read(raw, index)
    except EntryError as error:
        return UnreadableEntry(place, str(error))


def objects(file: File) -> Iterator[tuple[str, bytes | None]]:
    """Each object with its place, such as "line 7"; None if it is too large. What is no object is given as
    it is. Raises EndMissing at the end.
    """
    first = b"\n"
    blank = 0
    while first and not first.strip(_BLANK + _BOM):
        first = file.readline(MAX_LINE + 1)
        blank += 1
    whole = first.strip(_BLANK + _BOM)
    if whole.startswith(b"[") or (whole.startswith(b"{") and not whole.endswith((b"}", b"},"))):
        yield from _scanned(first, file, whole.startswith(b"["))
    else:
        for number, line in lines(_Continued(first, file)):
            place = f"line {blank - 1 + number}"
            if line is not None and is_cut(line):
                raise EndMissing(f"in {place}")
            yield place, None if line is None else line.removeprefix(_BOM)


def is_cut(line: bytes) -> bool:
    """Whether a line with an object is cut: it is the file's last one, then."""
    return not line.endswith(b"\n") and line.lstrip(_BLANK + _BOM).startswith(b"{") and ends_early(line)


def _scanned(first: bytes, file: File, is_array: bool) -> Iterator[tuple[str, bytes | None]]:
    found = (elements_of_array if is_array else elements_of_stream)(_reader(first, file))
    for number, element in enumerate(found, 1):
        yield f"object {number}", element.raw if isinstance(element, Element) else b"0"


def _reader(first: bytes, file: File) -> Callable[[int], bytes]:
    pieces = chain([first], iter(lambda: file.read1(MAX_LINE), b""))
    return lambda _size: next(pieces, b"")


class _Continued:
    """The file from the line on that was already read."""

    def __init__(self, first: bytes, file: Lines) -> None:
        self._first: bytes | None = first
        self._file = file

    def readline(self, size: int, /) -> bytes:
        first, self._first = self._first, None
        return self._file.readline(size) if first is None else first
