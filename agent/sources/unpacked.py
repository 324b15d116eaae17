"""A file's content, unpacked if it is gzip (RFC 1952), like rotated logs."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from agent.sources.reported import FormatError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP_BITS = 31  # of zlib: a gzip header, the largest window
_GZIP = b"\x1f\x8b"
_BUFFER = 256 * 1024
Unpacked: TypeAlias = "io.BufferedReader[io.FileIO] | io.BufferedReader[_Unpacked]"


@contextmanager
def unpacked(raw: io.FileIO, path: Path) -> Iterator[Unpacked]:
    """The file's content, up to the last byte before damage or a cut. Raises FormatError then, at the end."""
    plain = io.BufferedReader(raw, _BUFFER)
    if plain.peek(2)[:2] != _GZIP:
        yield plain
        return
    packed = _Unpacked(plain)
    try:
        yield io.BufferedReader(packed, _BUFFER)
    except FormatError:
        if not packed.damaged:
            raise
    if packed.damaged:
        raise FormatError(f"{path}: the gzip data is damaged or cut; what came before was read")


class _Unpacked(io.RawIOBase):
    """The content of gzip data (RFC 1952), up to the last byte before damage or a cut."""

    def __init__(self, packed: io.BufferedReader[io.FileIO]) -> None:
        self._packed = packed
        self._waiting = b""
        self._member = zlib.decompressobj(_GZIP_BITS)
        self._ended = False
        self.damaged = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            found = b"" if self._ended else self._next(len(view))
        except zlib.error:
            found, self._ended, self.damaged = b"", True, True
        view[: len(found)] = found
        return len(found)

    def _next(self, room: int) -> bytes:
        while packed := self._waiting or self._packed.read(_BUFFER):
            if self._member.eof:  # concatenated logs are several members
                self._member = zlib.decompressobj(_GZIP_BITS)
            found = self._member.decompress(packed, room)
            self._waiting = self._member.unused_data or self._member.unconsumed_tail
            if found:
                return found
        found = b"" if self._member.eof else self._member.decompress(b"", room)
        if not found:
            self._ended, self.damaged = True, not self._member.eof
        return found
