"""HPACK for an observer (RFC 7541): hpack's decoder, with a table that marks unknown entries.

After a late join, older entries of the dynamic table are unknown. Indices count from the newest entry, so
those inserted since resolve exactly; an older one is marked unknown and does not stop the decoder, which
would lose every later block.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from agent.http.messages import Headers

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


class _LateTable(HeaderTable):
    """Returns UNKNOWN for dynamic entries whose insertion was not seen."""

    def get_by_index(self, index: int) -> tuple[bytes, bytes]:
        if index > self.STATIC_TABLE_LENGTH + len(self.dynamic_entries):
            return UNKNOWN, b""
        return super().get_by_index(index)


class FieldDecoder:
    """Decodes one half's blocks in order. `late`: older entries of the table are unknown."""

    def __init__(self, late: bool) -> None:
        self._decoder = Decoder(MAX_LIST)
        self._decoder.header_table = _LateTable() if late else HeaderTable()
        if late:
            self._decoder.max_allowed_table_size = MAX_TABLE
            self._decoder.header_table_size = MAX_TABLE

    def allow(self, size: int) -> None:
        """Raises the table's bound to the other half's SETTINGS_HEADER_TABLE_SIZE; never lowers it."""
        self._decoder.max_allowed_table_size = max(self._decoder.max_allowed_table_size, min(size, MAX_TABLE))

    def decode(self, block: bytes) -> Fields:
        """The fields of `block`. Raises FieldsError."""
        try:
            decoded = self._decoder.decode(block, raw=True)
        except (HPACKError, IndexError, ValueError) as error:
            raise FieldsError(type(error).__name__) from None
        pseudo: dict[bytes, bytes] = {}
        headers: list[tuple[bytes, bytes]] = []
        unknown = 0
        for name, value in decoded:
            if name == UNKNOWN:
                unknown += 1
            elif name[:1] == b":":
                pseudo.setdefault(bytes(name), bytes(value))
            else:
                headers.append((bytes(name), bytes(value)))
        return Fields(pseudo, tuple(headers), unknown)
