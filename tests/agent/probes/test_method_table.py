"""Functions in a table are found in files that the compiler made here, and nowhere that looks otherwise."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from agent.probes import elf, tls
from agent.probes.method_table import ENDBR64, MethodTable, functions, table_address

NAMES = ("BIO_f_ssl.bread", "BIO_f_ssl.bwrite")
SOURCE = """
static int take(void) { return 1; }
static int give(void) { return 2; }
static const struct { int type; const char *name; int (*slot[5])(void); } methods = {
    TYPE, "ssl", { give, OLD, take, OLD, take }
};
const void *BIO_f_ssl(void) { EXTRA return &methods; }
int main(void) { return BIO_f_ssl() == 0; }
"""
TABLE = MethodTable("f", type=7, slots={"a": 8, "b": 16}, empty=(24,))


def build(folder: Path, *flags: str, type: int = 0x207, old: str = "0", extra: str = "") -> Path:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source, built = folder / "library.c", folder / "built"
    source.write_text(SOURCE)
    defined = (f"-DTYPE={type}", f"-DOLD={old}", f"-DEXTRA={extra}")
    subprocess.run([compiler, "-O2", *flags, *defined, "-o", built, source], check=True)
    return built


def found(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        return elf.function_offsets(file, NAMES, tls.TABLES)


@pytest.mark.parametrize(
    "flags",
    [
        ("-shared", "-fPIC"),
        ("-shared", "-fPIC", "-Wl,-z,pack-relative-relocs"),
        ("-fPIE", "-pie"),
        ("-fPIC", "-no-pie"),
    ],
    ids=["library", "packed relocations", "pie", "fixed address"],
)
def test_a_tables_functions_are_found_where_their_code_is(tmp_path: Path, flags: tuple[str, ...]) -> None:
    built = build(tmp_path, *flags)
    offsets = found(built)
    assert set(offsets) == set(NAMES)
    code = {name: built.read_bytes()[offset : offset + 16] for name, offset in offsets.items()}
    assert b"\xb8\x01\0\0\0" in code["BIO_f_ssl.bread"]  # mov $1, %eax
    assert b"\xb8\x02\0\0\0" in code["BIO_f_ssl.bwrite"]


@pytest.mark.parametrize(
    "other",
    [{"type": 0x208}, {"old": "take"}, {"extra": "static volatile int n; n++;"}],
    ids=["another type", "a layout with more functions", "a function that does more"],
)
def test_another_table_or_function_offers_nothing(tmp_path: Path, other: dict[str, str]) -> None:
    assert found(build(tmp_path, "-shared", "-fPIC", **other)) == {}  # type: ignore[arg-type]


def test_a_table_is_where_the_function_says() -> None:
    code = b"\x48\x8d\x05" + struct.pack("<i", -0x10) + b"\xc3"
    assert table_address(code, 0x1000) == 0x1000 + 7 - 0x10
    assert table_address(ENDBR64 + code, 0x1000) == 0x1000 + 11 - 0x10
    assert table_address(code[:-1] + b"\x90", 0x1000) is None
    assert table_address(b"", 0x1000) is None


def test_a_table_with_a_hole_is_another_one() -> None:
    words = {8: 100, 16: 200}
    assert functions(TABLE, b"\7\0\0\0", lambda place: words.get(place, 0)) == {"a": 100, "b": 200}
    assert functions(TABLE, b"\7\0\0\0", {8: 100, 16: 0, 24: 0}.__getitem__) == {}
