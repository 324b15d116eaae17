"""Addresses of the kernel's variables, from /proc/kallsyms. Without CAP_SYSLOG they are hidden."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

KALLSYMS = Path("/proc/kallsyms")
MEMORY = {b"page_offset_base": "PAGE_OFFSET_AT", b"vmemmap_base": "VMEMMAP_AT"}
"""Where the kernel maps memory (arch/x86/include/asm/page_64.h), and the macros for it in bpf/."""
MACHINE = "x86_64"


def memory_layout(path: Path = KALLSYMS) -> dict[str, int]:
    """The address of each of MEMORY, by macro; all 0 if one is not known: then pages cannot be read."""
    found = dict(_found(path)) if platform.machine() == MACHINE else {}
    known = len(found) == len(MEMORY) and all(found.values())
    return {macro: found[macro] if known else 0 for macro in MEMORY.values()}


def _found(path: Path) -> Iterator[tuple[str, int]]:
    try:
        with path.open("rb") as lines:
            for line in lines:
                fields = line.split()
                if len(fields) == 3 and fields[2] in MEMORY:  # modules' have a fourth
                    yield MEMORY[fields[2]], int(fields[0], 16)
    except (OSError, ValueError):
        return
