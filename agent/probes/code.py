"""The machine code of an ELF file without symbols: where its functions are, what they refer to and call.

Functions are those that .eh_frame describes, as C++ needs it (Linux Standard Base 5.0, section 10.6). Only
for x86-64. Sizes and work are bounded; what a hostile file says may raise anything.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from elftools.elf.elffile import ELFFile

from agent.probes import elf as elves

MAX_SECTION_BYTES = 32 * 1024 * 1024
MAX_FUNCTIONS = 500_000
MAX_INSTRUCTIONS = 500_000
"""Looked at for references to one place; grpcio's library has 9,000."""
MAX_REFERENCES = 2000
"""To one place; grpcio's library has 73."""
MAX_CALLING = 32 * 1024
"""Bytes of code that are searched for calls, in one file; of grpcio's library, 1,000."""

TABLE_HEAD = bytes((1, 0x1B, 0x03, 0x3B))
"""Version and encodings of .eh_frame_hdr, as GNU's and LLVM's linkers write it."""
ENTRY = struct.Struct("<ii")  # function, description; relative to the table
DESCRIPTION = struct.Struct("<IIiI")  # length, common part, begin (relative to itself), size
INT32 = struct.Struct("<i")
CALL, JUMP = 0xE8, 0xE9  # with a displacement of 32 bits


class NotUnderstoodError(Exception):
    """The file is not one whose code can be read here."""


def section(elf: ELFFile, name: str) -> tuple[int, bytes]:
    """Address and bytes of a section. Raises NotUnderstoodError if there is none, or it cannot be read."""
    found: Any = elf.get_section_by_name(name)
    if found is None or not (whole := elves.contents(found, MAX_SECTION_BYTES)):
        raise NotUnderstoodError
    return found["sh_addr"], whole


class Code:
    """Of one file; addresses are the file's own."""

    def __init__(self, elf: ELFFile) -> None:
        if elf["e_machine"] != "EM_X86_64":
            raise NotUnderstoodError
        self._at, self._text = section(elf, ".text")
        self._frames_at, self._frames = section(elf, ".eh_frame")
        table_at, table = section(elf, ".eh_frame_hdr")
        (count,) = struct.unpack_from("<I", table, len(TABLE_HEAD) + INT32.size)
        if not table.startswith(TABLE_HEAD) or count > MAX_FUNCTIONS:
            raise NotUnderstoodError
        first = len(TABLE_HEAD) + 2 * INT32.size
        entries = ENTRY.iter_unpack(table[first : first + count * ENTRY.size])
        self._entries = [(table_at + start, table_at + description) for start, description in entries]
        self._starts = [start for start, _ in self._entries]  # sorted, as the table is for the unwinder
        self._calling = MAX_CALLING  # bytes left

    def size(self, function: int) -> int:
        """Bytes of a function."""
        _, at = self._entries[bisect_right(self._starts, function) - 1]
        _, _, begin, size = DESCRIPTION.unpack_from(self._frames, at - self._frames_at)
        if at + 2 * INT32.size + begin != function:
            raise NotUnderstoodError
        return int(size)

    def is_function(self, address: int) -> bool:
        """Whether a function begins here."""
        index = bisect_right(self._starts, address) - 1
        return index >= 0 and self._starts[index] == address

    def function_of(self, address: int) -> int:
        """Where the function begins that has this address."""
        start: int = self._starts[bisect_right(self._starts, address) - 1]
        if not start <= address < start + self.size(start):
            raise NotUnderstoodError
        return start

    def references(self, instruction: bytes, target: int) -> Iterator[int]:
        """Addresses of instructions that begin with these bytes and then refer to `target` by 32 bits. Raises
        NotUnderstoodError if there are more than any real library has.
        """
        at = self._text.find(instruction)
        looked = found = 0
        while at >= 0:
            operand = at + len(instruction)
            if operand + INT32.size > len(self._text):
                return
            looked += 1
            (distance,) = INT32.unpack_from(self._text, operand)
            if self._at + operand + INT32.size + distance == target:
                found += 1
                yield self._at + at
            if looked > MAX_INSTRUCTIONS or found > MAX_REFERENCES:
                raise NotUnderstoodError
            at = self._text.find(instruction, at + 1)

    def called(self, function: int) -> list[int]:
        """The functions that this one calls, or ends with a jump to, in the order of its code. What only
        looks like a call does not lead to where a function begins. Raises NotUnderstoodError once more code
        was searched than any real library needs.
        """
        code = self.between(function, function + self.size(function))
        self._calling -= len(code)
        if self._calling < 0:
            raise NotUnderstoodError
        found = []
        for at in range(len(code) - INT32.size):
            if code[at] in (CALL, JUMP):
                target = function + at + 1 + INT32.size + INT32.unpack_from(code, at + 1)[0]
                if target != function and self.is_function(target):
                    found.append(target)
        return found

    def between(self, start: int, end: int) -> bytes:
        """The code between two addresses."""
        return self._text[max(0, start - self._at) : max(0, end - self._at)]
