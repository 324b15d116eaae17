"""Where the kernel maps memory is known as a whole, or not at all."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from agent.probes.symbols import MACHINE, memory_layout

NOTHING = {"PAGE_OFFSET_AT": 0, "VMEMMAP_AT": 0}
BASE = b"ffffffff82000000 D vmemmap_base\n"
OFFSET = b"ffffffff82000008 D page_offset_base\n"


@pytest.mark.skipif(platform.machine() != MACHINE, reason="of this machine alone")
def test_both_variables_are_found_among_all_symbols(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(
        b"ffffffff81000000 T _text\n" + BASE + OFFSET + b"ffffffffc0000000 d vmemmap_base\t[odd]\n"
    )
    assert memory_layout(path) == {"PAGE_OFFSET_AT": 0xFFFFFFFF82000008, "VMEMMAP_AT": 0xFFFFFFFF82000000}


@pytest.mark.parametrize(
    "text", [b"", BASE, BASE + b"0000000000000000 D page_offset_base\n", b"x D vmemmap_base"]
)
def test_what_is_hidden_or_missing_is_not_known(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(text)
    assert memory_layout(path) == NOTHING
    assert memory_layout(tmp_path / "missing") == NOTHING
