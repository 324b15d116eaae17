"""Which TLS code a program file contains: by its symbols or, if it has none, by marks.

Marks are texts that remain even in stripped files. They are evidence, not proof: the code may never run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from agent.probes import tls
from agent.probes.tls import LIBRARIES

PIECE = 1 << 20
MAX_SEARCHED = 512 << 20
"""Bytes of a file that are searched for marks."""

ELF_MAGIC, CLASS_32 = b"\x7fELF", 1


class Mark(StrEnum):
    """Code recognised without symbols. The mark of a library with probes is its name."""

    GO = "go"  # Go, with or without TLS
    GO_TLS = "go-tls"  # Go's crypto/tls
    NATIVE_IMAGE = "native-image"  # Java compiled ahead of time


TEXTS: dict[str, tuple[bytes, ...]] = {
    Mark.GO_TLS: (b"crypto/tls.(*Conn).Read",),
    **{library.name: library.marks for library in LIBRARIES if library.marks},
}
"""Names of source files in assertions and panics, and Go's table of function names."""

SECTIONS = {".go.buildinfo": Mark.GO, ".note.go.buildid": Mark.GO, ".svm_heap": Mark.NATIVE_IMAGE}


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """`functions` are those that are probed; marks are searched only if there are none."""

    bits: int
    functions: tuple[str, ...]
    marks: frozenset[str]


def inspect(stream: IO[bytes]) -> ProgramFile | None:
    """The TLS code in the file; None if it is no ELF file. Raises OSError."""
    head = stream.read(5)
    if len(head) < 5 or not head.startswith(ELF_MAGIC):
        return None
    functions = tuple(sorted(tls.functions(stream)))
    marks: set[str] = set() if functions else {*sections(stream), *texts(stream)}
    if Mark.GO not in marks:
        marks -= {Mark.GO_TLS}  # another program that quotes the name
    return ProgramFile(32 if head[4] == CLASS_32 else 64, functions, frozenset(marks))


def sections(stream: IO[bytes]) -> set[Mark]:
    """Marks found by section names."""
    try:
        found = {section.name for section in ELFFile(stream).iter_sections()}
    except (ELFError, ValueError, OverflowError, KeyError, IndexError, AttributeError, TypeError):
        return set()  # a broken or hostile file
    return {mark for name, mark in SECTIONS.items() if name in found}


def texts(stream: IO[bytes]) -> set[str]:
    """Marks found by text. The file is read in overlapping pieces: a mapped file could be truncated
    meanwhile.
    """
    found: set[str] = set()
    wanted = [(mark, text) for mark, texts in TEXTS.items() for text in texts]
    overlap = max(len(text) for _, text in wanted) - 1
    stream.seek(0)
    tail, left = b"", MAX_SEARCHED
    while left > 0 and (piece := stream.read(min(PIECE, left))):
        left -= len(piece)
        window = tail + piece
        found |= {mark for mark, text in wanted if mark not in found and text in window}
        tail = window[-overlap:]
    return found
