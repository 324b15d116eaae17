"""Finds functions in an ELF file by a few hash look-ups, without reading the whole symbol table.

Any user of this node, containers included, may own such a file, so its content is not trusted. The parsing
library relies on the file's sizes, follows its chains, and raises any exception. So it reads through a stream
that stops after MAX_READS and MAX_BYTES, and any exception means that nothing was found.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from elftools.elf.elffile import ELFFile
from elftools.elf.hash import GNUHashTable

from agent.probes.method_table import CODE, MethodTable, functions, table_address

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
RELOCATION = struct.Struct("<QQq")
"""Elf64_Rela: offset, info, addend."""
RELATIVE = 8  # R_X86_64_RELATIVE, of no symbol
EXECUTABLE = 1  # PF_X


@dataclass(frozen=True, slots=True)
class Function:
    """Where a function is probed, as offsets in its file of instructions: of one that it comes to once in
    each call, and of those that return; without any of these, it takes the kernel's return probe. `others`
    are entries of more functions that are called in its place.
    """

    entry: int
    returns: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


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


def opened(stream: IO[bytes]) -> ELFFile:
    """The file, which may be read within bounds. A hostile one may have any exception raised."""
    bounded: Any = _Bounded(stream)  # the only methods used of a stream
    return ELFFile(bounded)


def read_at(elf: ELFFile, offset: int, size: int) -> bytes:
    """At most `size` bytes of the file."""
    elf.stream.seek(offset)
    return bytes(elf.stream.read(size))


def function_offsets(
    stream: IO[bytes], names: Iterable[str], tables: Iterable[MethodTable] = ()
) -> dict[str, int]:
    """File offsets of the `names` that the file defines, or has in one of these tables; empty if it is not
    an ELF file or is hostile.
    """
    try:
        elf = opened(stream)
        wanted = frozenset(names)
        tables = tuple(tables)
        addresses = _addresses(elf, wanted.union(table.function for table in tables))
        for table in tables:
            if table.function in addresses:
                addresses.update(_in_table(elf, table, addresses[table.function]))
        found: dict[str, int] = {}
        for name in wanted & addresses.keys():
            offset = file_offset(elf, addresses[name])
            if offset is not None:
                found[name] = offset
        return found
    except Exception:  # a hostile file may raise any exception
        return {}


def build_id(stream: IO[bytes]) -> str | None:
    """The GNU build id, which distinguishes two builds of one name; None if there is none."""
    try:
        section: Any = opened(stream).get_section_by_name(".note.gnu.build-id")
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


def contents(section: Any, most: int = MAX_TABLE_BYTES) -> bytes:
    """The bytes of a section; empty if it is larger than `most`, or compressed: what is loaded never is, and
    a few bytes could become gigabytes.
    """
    if section.compressed or section["sh_size"] > most:
        return b""
    whole: bytes = section.data()
    return whole


def strings_of(elf: ELFFile, section: Any) -> bytes:
    """The names of a table of symbols; empty if it is too large."""
    if elf.elfclass != 64 or not elf.little_endian or section["sh_size"] > MAX_TABLE_BYTES:
        return b""
    return contents(elf.get_section(section["sh_link"]))


def values(section: Any) -> Iterator[tuple[int, int]]:
    """The symbols of a table: where the name is in its names, and the address."""
    whole = contents(section)
    symbols = SYMBOL.iter_unpack(whole[: len(whole) - len(whole) % SYMBOL.size])
    return ((name, value) for name, _, _, _, value, _ in symbols)


def _walk(elf: ELFFile, section: Any, names: frozenset[str]) -> dict[str, int]:
    """Finds names without a hash table: first in the string table, then in the symbols."""
    strings = strings_of(elf, section)
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
    return {wanted[name]: value for name, value in values(section) if name in wanted and value}


def _in_table(elf: ELFFile, table: MethodTable, function: int) -> dict[str, int]:
    """The addresses of a table's functions; empty where it cannot be read."""
    if elf["e_machine"] != "EM_X86_64" or elf.elfclass != 64:
        return {}
    at = table_address(_read(elf, function, CODE), function)
    if at is None:
        return {}
    places = {at + place for place in (*table.slots.values(), *table.empty)}
    moved = relocated(elf, places)

    def word(place: int) -> int:
        if at + place in moved:
            return moved[at + place]
        (value,) = struct.unpack("<Q", _read(elf, at + place, 8))  # of a file that is not moved, or RELR
        return int(value)

    found = functions(table, _read(elf, at, 4), word)
    return found if all(_is_code(elf, address) for address in found.values()) else {}


def relocated(elf: ELFFile, places: set[int]) -> dict[int, int]:
    """What the loader writes to these places, before it adds where it loaded the file."""
    found: dict[int, int] = {}
    for section in elf.iter_sections("SHT_RELA"):
        whole = contents(section)
        entries = RELOCATION.iter_unpack(whole[: len(whole) - len(whole) % RELOCATION.size])
        found |= {place: value for place, info, value in entries if place in places and info == RELATIVE}
    return found


def _read(elf: ELFFile, address: int, size: int) -> bytes:
    offset = file_offset(elf, address)
    if offset is None:
        return b""
    return read_at(elf, offset, size)


def _is_code(elf: ELFFile, address: int) -> bool:
    return any(
        segment["p_flags"] & EXECUTABLE
        and segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_filesz"]
        for segment in elf.iter_segments("PT_LOAD")
    )


def file_offset(elf: ELFFile, address: int) -> int | None:
    """Where the file has what is loaded at this address; None if nowhere."""
    for segment in elf.iter_segments("PT_LOAD"):
        start = segment["p_vaddr"]
        if start <= address < start + segment["p_filesz"]:
            return int(address - start + segment["p_offset"])
    return None
