"""Hands the compiler's memory back once the kernel programs are loaded.

LLVM and clang leave some 100 MB of their code resident; nothing calls it again, and should something, the
pages come back from the file. Only read-only executable mappings are given up: others hold relocations.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

COMPILER = re.compile(r"/(libLLVM|libclang|libbcc)[^/]*$")
MADV_DONTNEED = 4


def hand_back(maps: Path = Path("/proc/self/maps")) -> int:
    """Gives up the compiler's resident code. Returns the bytes of address space that this covered."""
    libc = ctypes.CDLL(None, use_errno=True)
    covered = 0
    for line in maps.read_text().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1] == "r-xp" and COMPILER.search(fields[5]):
            start, end = (int(part, 16) for part in fields[0].split("-"))
            if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED) == 0:
                covered += end - start
    libc.malloc_trim(0)
    return covered
