"""Functions that a library exports in a table only, found by where the table is and what it holds.

An exported function returns the table's address; the table begins with a number, and holds addresses of
functions at places that are its layout. What does not look exactly so has no functions here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ENDBR64, LEA_RAX, RET = b"\xf3\x0f\x1e\xfa", b"\x48\x8d\x05", b"\xc3"
CODE = 16
"""Bytes of a function that are looked at."""


@dataclass(frozen=True, slots=True)
class MethodTable:
    """`function` returns the address of a table that begins with the number `type`. `slots` are the places of
    its functions in bytes, by what they are called here; `empty` are places that hold none.
    """

    function: str
    type: int
    slots: Mapping[str, int]
    empty: tuple[int, ...]


def table_address(code: bytes, address: int) -> int | None:
    """What a function at `address` returns whose code is `lea rax, [rip + distance]; ret`; else None."""
    start = len(ENDBR64) if code.startswith(ENDBR64) else 0
    end = start + len(LEA_RAX) + 4
    if not code.startswith(LEA_RAX, start) or not code.startswith(RET, end):
        return None
    (distance,) = struct.unpack_from("<i", code, end - 4)
    return int(address + end + distance)


def functions(table: MethodTable, first: bytes, word: Callable[[int], int]) -> dict[str, int]:
    """The addresses of a table's functions; empty if it is another table. `first` are its first four bytes,
    `word` gives the address at a place of it, 0 for none.
    """
    if first != struct.pack("<I", table.type) or any(word(place) for place in table.empty):
        return {}
    found = {name: word(place) for name, place in table.slots.items()}
    return found if all(found.values()) else {}
