"""HPACK for an observer (RFC 7541): a decoder whose table marks unknown entries.

After a late join, older entries of the dynamic table are unknown. Indices count from the newest entry, so
those inserted since resolve exactly; an older one is marked unknown and does not stop the decoder, which
would lose every later block.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpack.table import HeaderTable

from agent.http.h2 import huffman
from agent.http.messages import Headers

STATIC = list(HeaderTable.STATIC_TABLE)
DEFAULT_TABLE = 4096  # bytes (RFC 9113, section 6.5.2)
OVERHEAD = 32  # bytes of an entry beyond its name and value
MAX_SHIFT = 56  # bits; a longer integer is refused

UNKNOWN = b"\0unknown"
"""Marks an unknown entry's name; no field name can contain a NUL."""

MAX_LIST = 256 * 1024
"""Bytes of a decoded header list."""

MAX_TABLE = 1 << 20
"""Bytes of the dynamic table; for an encoder that uses more, older entries are unknown."""


class FieldsError(ValueError):
    """The block cannot be decoded, and the table is unusable from now on. Holds no part of the block."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A decoded block: pseudo fields by name, the others in order, and how many are unknown."""

    pseudo: dict[bytes, bytes]
    headers: Headers
    unknown: int


class FieldDecoder:
    """Decodes one half's blocks in order. `late`: older entries of the table are unknown.

    The table (RFC 7541, section 2.3.2) is a list with the newest entry last; the first `_gone` are evicted.
    """

    def __init__(self, late: bool) -> None:
        self._late = late
        self._entries: list[tuple[bytes, bytes]] = []
        self._gone = 0
        self._used = 0  # bytes, as section 4.1 counts them
        self._size = MAX_TABLE if late else DEFAULT_TABLE
        self._allowed = self._size
        self._block = b""
        self._at = 0

    def allow(self, size: int) -> None:
        """Raises the table's bound to the other half's SETTINGS_HEADER_TABLE_SIZE; never lowers it."""
        self._allowed = max(self._allowed, min(size, MAX_TABLE))

    def decode(self, block: bytes) -> Fields:
        """The fields of `block`. Raises FieldsError."""
        self._block, self._at = block, 0
        try:
            return self._fields()
        except (IndexError, ValueError) as error:
            raise FieldsError(type(error).__name__) from None
        finally:
            self._block = b""

    def _fields(self) -> Fields:
        pseudo: dict[bytes, bytes] = {}
        headers: list[tuple[bytes, bytes]] = []
        block, unknown, total = self._block, 0, 0
        while self._at < len(block):
            first = block[self._at]
            if first & 0xE0 == 0x20:
                if total:
                    raise ValueError  # section 4.2: only before the fields
                self._resize(self._integer(0x1F))
                continue
            field = self._entry(self._integer(0x7F)) if first & 0x80 else self._literal(first)
            name, value = field
            total += _size(field)
            if total > MAX_LIST:
                raise ValueError
            if name == UNKNOWN:
                unknown += 1
            elif name.startswith(b":"):
                pseudo.setdefault(name, value)
            else:
                headers.append(field)
        return Fields(pseudo, tuple(headers), unknown)

    def _literal(self, first: int) -> tuple[bytes, bytes]:
        """A literal field (section 6.2), which may become an entry."""
        is_added = bool(first & 0x40)
        index = self._integer(0x3F if is_added else 0x0F)
        name = self._entry(index)[0] if index else self._string()
        field = name, self._string()
        if is_added:
            self._entries.append(field)
            self._used += _size(field)
            self._evict()
        return field

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        """The entry of an index (section 2.3.3)."""
        if index == 0:
            raise ValueError
        if index <= len(STATIC):
            return STATIC[index - 1]
        at = len(self._entries) - (index - len(STATIC))
        if at >= self._gone:
            return self._entries[at]
        if self._late:
            return UNKNOWN, b""
        raise ValueError

    def _resize(self, size: int) -> None:
        if size > self._allowed:
            raise ValueError
        self._size = size
        self._evict()

    def _evict(self) -> None:
        """Removes the oldest entries beyond the size (sections 4.3 and 4.4)."""
        while self._used > self._size:
            self._used -= _size(self._entries[self._gone])
            self._gone += 1
        if 2 * self._gone > len(self._entries):  # seldom, so that it costs little for each entry
            del self._entries[: self._gone]
            self._gone = 0

    def _integer(self, most: int) -> int:
        """An integer whose prefix holds up to `most` (section 5.1)."""
        number = self._block[self._at] & most
        self._at += 1
        if number < most:
            return number
        shift = 0
        while shift <= MAX_SHIFT:
            byte = self._block[self._at]
            self._at += 1
            number += (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise ValueError

    def _string(self) -> bytes:
        """A text (section 5.2)."""
        is_coded = bool(self._block[self._at] & 0x80)
        length = self._integer(0x7F)
        end = self._at + length
        if end > len(self._block):
            raise ValueError
        text = self._block[self._at : end]
        self._at = end
        return huffman.decoded(text) if is_coded else text


def _size(field: tuple[bytes, bytes]) -> int:
    """Bytes of a field, in the table and in a list (section 4.1; RFC 9113, section 6.5.2)."""
    return len(field[0]) + len(field[1]) + OVERHEAD
