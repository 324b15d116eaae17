"""Finds functions in an ELF file by a few hash look-ups, without reading the whole symbol table.

Any user of this node, containers included, may own such a file, so its content is not trusted. The parsing
library relies on the file's sizes, follows its chains, and raises any exception. So it reads through a stream
that stops after MAX_READS and MAX_BYTES, and any exception means that nothing was found.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import IO, Any

from elftools.elf.elffile import ELFFile
from elftools.elf.hash import GNUHashTable

MAX_READS = 400_000
"""Maximum reads of one file. Finding all functions of Node's, which has no hash table, takes 124,000, and
0.05 s.
"""
MAX_BYTES = 256 * 1024 * 1024
"""Maximum bytes read of one file."""
MAX_NAMES = 100_000
"""Maximum places in a string table at which a wanted name ends."""
MAX_TABLE_BYTES = 64 * 1024 * 1024
"""Without a hash table a file's symbols are searched, if their table is no larger than this."""

SYMBOL = struct.Struct("<IBBHQQ")
"""Elf64_Sym: name, info, other, section, value, size."""


class _TooMuch(Exception):
    """The file requires more reading than any real library."""


class _Bounded:
    """A stream with a maximum number of reads and bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._reads, self._bytes = MAX_READS, MAX_BYTES
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        self._reads -= 1
        self._bytes -= size
        if size < 0 or self._reads < 0 or self._bytes < 0:
            raise _TooMuch
        return self._stream.read(size)


def _opened(stream: IO[bytes]) -> ELFFile:
    bounded: Any = _Bounded(stream)  # the only methods used of a stream
    return ELFFile(bounded)


def function_offsets(stream: IO[bytes], names: Iterable[str]) -> dict[str, int]:
    """File offsets of the `names` that the file defines; empty if it is not an ELF file or is hostile."""
    try:
        elf = _opened(stream)
        found: dict[str, int] = {}
        for name, value in _addresses(elf, frozenset(names)).items():
            offset = _file_offset(elf, value)
            if offset is not None:
                found[name] = offset
        return found
    except Exception:  # a hostile file may raise any exception
        return {}


def build_id(stream: IO[bytes]) -> str | None:
    """The GNU build id, which distinguishes two builds of one name; None if there is none."""
    try:
        section: Any = _opened(stream).get_section_by_name(".note.gnu.build-id")
        if section is None:
            return None
        for note in section.iter_notes():
            if note["n_type"] == "NT_GNU_BUILD_ID":
                return str(note["n_desc"])
    except Exception:  # a hostile file may raise any exception
        return None
    return None


def _addresses(elf: ELFFile, names: frozenset[str]) -> dict[str, int]:
    dynamic: Any = elf.get_section_by_name(".dynsym")
    hashed: Any = elf.get_section_by_name(".gnu.hash")
    if dynamic is not None and hashed is not None:
        table = GNUHashTable(elf, hashed["sh_offset"], dynamic)
        symbols = (table.get_symbol(name) for name in names)
        found = {s.name: s["st_value"] for s in symbols if s is not None and s["st_value"]}
        if found:
            return found
    for section in (elf.get_section_by_name(".symtab"), dynamic):
        if section is not None:
            return _walk(elf, section, names)
    return {}


def _walk(elf: ELFFile, section: Any, names: frozenset[str]) -> dict[str, int]:
    """Finds names without a hash table: first in the string table, then in the symbols."""
    if elf.elfclass != 64 or not elf.little_endian or section["sh_size"] > MAX_TABLE_BYTES:
        return {}
    linked: Any = elf.get_section(section["sh_link"])
    if section.compressed or linked.compressed or linked["sh_size"] > MAX_TABLE_BYTES:
        return {}
    strings: bytes = linked.data()
    wanted: dict[int, str] = {}
    for name in names:
        needle = name.encode() + b"\0"
        at = strings.find(needle)
        while at >= 0:
            wanted[at] = name
            at = strings.find(needle, at + 1)
            if len(wanted) > MAX_NAMES:
                return {}
    if not wanted:
        return {}
    whole = section.data()
    symbols = SYMBOL.iter_unpack(whole[: len(whole) - len(whole) % SYMBOL.size])
    return {wanted[name]: value for name, _, _, _, value, _ in symbols if name in wanted and value}


def _file_offset(elf: ELFFile, address: int) -> int | None:
    for segment in elf.iter_segments("PT_LOAD"):
        start = segment["p_vaddr"]
        if start <= address < start + segment["p_filesz"]:
            return int(address - start + segment["p_offset"])
    return None
