"""Finds functions of Go programs, and where they return, by the tables that the Go runtime reads itself:
stripping leaves them.

A return probe would crash the program: it puts its own address in the place of the caller's on the stack,
which the runtime reads when it moves a stack. So the instructions that return are probed. The table of stack
depths says where they are without decoding any code: a frame is made by the first instructions of a function
and gone before each return, so that where the depth becomes zero again there is a RET, behind NOPs at most.
What else has no frame is the function's beginning, and the call of morestack at its very end
(cmd/internal/obj/x86/obj6.go). The beginning checks the size of the stack and ends with `push rbp`. That one
is probed: where the stack was too small, the function begins anew with a larger one, and comes there once;
and the kernel need not step through it.

The layout is of runtime/symtab.go and runtime/runtime2.go, from Go 1.18 on (magic numbers of
internal/abi/symtab.go).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from elftools.elf.elffile import ELFFile

from agent.probes import elf
from agent.probes.elf import Function

MAX_TABLE_BYTES = 128 * 1024 * 1024
"""Of one table; Kubernetes's largest have 20 MB."""
MAX_DEPTHS = 64 * 1024
"""Bytes of one function's table of stack depths."""
MAX_FUNCTIONS = 2_000_000
"""Of one program; Kubernetes's largest have 100,000."""
MAX_RETURNS = 256
"""Instructions of one function that return, and so are probed; crypto/tls has 13 at most."""
MAX_SHIFT = 28
"""The last seven bits of a number of 32 bits begin here."""

STARTS = tuple(struct.pack("<IHBB", magic, 0, 1, 8) for magic in (0xFFFFFFF0, 0xFFFFFFF1))
"""Of the tables of Go 1.18 and 1.20 for x86-64: magic number, padding, bytes of the least instruction and of
a pointer. Go before 1.18 passes arguments in another way.
"""
BUILD = ".go.buildinfo"
TABLES = (".gopclntab", ".data.rel.ro.gopclntab")
MERGED = ".data.rel.ro"
"""Where a C linker puts the tables of a position-independent program, among others."""
MODULE = ".go.module"
TEXT_AT = 22 * 8
"""Where struct moduledata has `text`, the address that functions are counted from."""
TEXT_START_AT = 24
"""Where struct pcHeader has it, up to Go 1.25; 0 from then on."""
PUSH, NOP, RET = b"\x55", b"\x90", 0xC3

HEADER = struct.Struct("<8sQQQQQQQQ")
"""pcHeader: one of STARTS, functions, files, text, offsets of five tables."""
WORD = struct.Struct("<Q")


class _Odd(Exception):
    """The file is not as Go's linker makes it."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """Go's tables in a file: offsets in it."""

    count: int
    names: int
    names_end: int
    depths: int
    records: int
    end: int
    text: int


def functions(stream: IO[bytes], names: Iterable[str]) -> dict[str, Function]:
    """The `names` that a Go program for x86-64 defines; empty if it is something else, or hostile."""
    try:
        file = elf.opened(stream)
        tables = _tables(file)
        if tables is None:
            return {}
        wanted = _name_offsets(file, tables, names)
        return dict(_functions(file, tables, wanted)) if wanted else {}
    except Exception:  # of a hostile file: anything
        return {}


def _tables(file: ELFFile) -> _Tables | None:
    if file["e_machine"] != "EM_X86_64" or file.get_section_by_name(BUILD) is None:
        return None
    section: Any = next((found for name in TABLES if (found := file.get_section_by_name(name))), None)
    skipped = 0
    if section is None:
        section = file.get_section_by_name(MERGED)
        skipped = _merged(elf.read_at(file, section["sh_offset"], _bounded(section["sh_size"])))
    at, end = section["sh_offset"] + skipped, section["sh_offset"] + section["sh_size"]
    header = HEADER.unpack(elf.read_at(file, at, HEADER.size))
    count, _, text, names, units, _, depths, records = header[1:]
    if header[0] not in STARTS or count > MAX_FUNCTIONS:
        return None
    text = text or _text(file, section["sh_addr"] + skipped + TEXT_START_AT)
    return _Tables(count, at + names, at + units, at + depths, at + records, end, text)


def _merged(section: bytes) -> int:
    """Where the tables begin in this section."""
    return next(at for start in STARTS if (at := section.find(start)) >= 0)


def _text(file: ELFFile, start_at: int) -> int:
    """The address that functions are counted from, where the table does not say it."""
    module: Any = file.get_section_by_name(MODULE)
    if module is None:
        return elf.relocated(file, {start_at})[start_at]
    (text,) = WORD.unpack(elf.read_at(file, module["sh_offset"] + TEXT_AT, WORD.size))
    place = module["sh_addr"] + TEXT_AT
    return text or elf.relocated(file, {place})[place]


def _name_offsets(file: ELFFile, tables: _Tables, names: Iterable[str]) -> dict[int, str]:
    """The names that are there, by where the table of names has them."""
    text = elf.read_at(file, tables.names, _bounded(tables.names_end - tables.names))
    found = ((text.find(b"\0" + name.encode() + b"\0") + 1, name) for name in names)
    return {at: name for at, name in found if at > 0}


def _functions(file: ELFFile, tables: _Tables, wanted: Mapping[int, str]) -> Iterator[tuple[str, Function]]:
    whole = elf.read_at(file, tables.records, _bounded(tables.end - tables.records) & ~3)
    words = memoryview(whole).cast("I")
    left = dict(wanted)
    for at in words[1 : 2 * tables.count : 2]:
        record = at >> 2
        place = words[record + 1]
        if place in wanted:
            if place not in left:  # a hostile file could name one again and again
                raise _Odd
            yield left.pop(place), _function(file, tables, words[record], words[record + 4])


def _function(file: ELFFile, tables: _Tables, entry: int, depths: int) -> Function:
    start = elf.file_offset(file, tables.text + entry)
    if start is None:
        raise _Odd
    table = elf.read_at(file, tables.depths + depths, MAX_DEPTHS)
    parts = list(_depths(table))
    frameless = [(start + at, start + end) for at, end, depth in parts if not depth]
    entry = frameless[0][1] - 1
    if frameless[0][0] != start or parts[1][2] != WORD.size or elf.read_at(file, entry, 1) != PUSH:
        raise _Odd
    last = len(frameless) - 1
    if last > MAX_RETURNS:
        raise _Odd
    returns = (_return(file, at, end, part == last) for part, (at, end) in enumerate(frameless) if part)
    return Function(entry, tuple(returns))


def _return(file: ELFFile, at: int, end: int, more: bool) -> int:
    """The instruction that returns among those from `at` to `end`; only with `more` others may follow it."""
    code = elf.read_at(file, at, end - at)
    padding = len(code) - len(code.lstrip(NOP))
    if code[padding] != RET or (not more and padding + 1 != len(code)):
        raise _Odd
    return at + padding


def _depths(table: bytes) -> Iterator[tuple[int, int, int]]:
    """From, to and stack depth in bytes of a function's parts (step() of runtime/symtab.go)."""
    at = start = 0
    depth = -1
    while True:
        change, at = _number(table, at)
        if not change and start:
            return
        depth += -(change + 1 >> 1) if change & 1 else change >> 1
        length, at = _number(table, at)
        yield start, start + length, depth
        start += length


def _number(table: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, least first, and where the next one begins."""
    value = shift = 0
    while shift <= MAX_SHIFT:
        byte = table[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise _Odd


def _bounded(size: int) -> int:
    if not 0 <= size <= MAX_TABLE_BYTES:
        raise _Odd
    return size
