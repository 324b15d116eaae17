"""Where functions begin: checked against what nm says of files that the compiler made here."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import elf

SOURCE = """
int SSL_read(void) { return 1; }
int SSL_write(void) { return 2; }
int main(void) { return SSL_read(); }
"""


def build(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source, built = folder / "library.c", folder / "built"
    source.write_text(SOURCE)
    subprocess.run([compiler, *flags, "-o", built, source], check=True)
    return built


def code_at(path: Path, offset: int) -> bytes:
    return path.read_bytes()[offset : offset + 16]


@pytest.mark.parametrize(
    "flags",
    [("-shared", "-fPIC"), ("-shared", "-fPIC", "-Wl,--hash-style=sysv"), ("-static",), ("-no-pie",), ()],
    ids=["library", "library-without-gnu-hash", "static", "fixed-address", "pie-with-symtab-only"],
)
def test_a_functions_offset_is_where_its_code_lies_in_the_file(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    built = build(tmp_path, *flags)
    with built.open("rb") as file:
        found = elf.function_offsets(file, ["SSL_read", "SSL_write", "SSL_missing"])
    assert set(found) == {"SSL_read", "SSL_write"}
    assert b"\xb8\x01\0\0\0" in code_at(built, found["SSL_read"])  # mov $1, %eax
    assert b"\xb8\x02\0\0\0" in code_at(built, found["SSL_write"])


def test_the_build_id_is_the_linkers(tmp_path: Path) -> None:
    built = build(tmp_path, "-shared", "-fPIC", "-Wl,--build-id=0x0123456789abcdef")
    with built.open("rb") as file:
        assert elf.build_id(file) == "0123456789abcdef"


def test_a_damaged_file_offers_nothing_and_raises_nothing(tmp_path: Path) -> None:
    whole = build(tmp_path, "-shared", "-fPIC").read_bytes()
    for cut in range(0, len(whole), 509):
        assert isinstance(elf.function_offsets(io.BytesIO(whole[:cut]), ["SSL_read"]), dict)
        spoilt = bytearray(whole)
        spoilt[cut : cut + 8] = b"\xff" * 8
        assert isinstance(elf.function_offsets(io.BytesIO(bytes(spoilt)), ["SSL_read"]), dict)
        elf.build_id(io.BytesIO(bytes(spoilt)))


@given(st.binary(max_size=300))
def test_any_bytes_behind_elfs_magic_number_offer_nothing(noise: bytes) -> None:
    assert elf.function_offsets(io.BytesIO(b"\x7fELF\x02\x01\x01" + noise), ["SSL_read"]) == {}
