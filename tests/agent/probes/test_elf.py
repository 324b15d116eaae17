"""The addresses of functions, compared with nm's output for files compiled here."""

import io
import shutil
import struct
import subprocess
import tracemalloc
import zlib
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


def section(name: int, kind: int, offset: int, size: int, link: int = 0, flags: int = 0) -> bytes:
    return struct.pack("<IIQQQQIIQQ", name, kind, flags, 0, offset, size, link, 0, 8, 24)


def file_of(folder: Path, kind: str) -> Path:
    """An ELF file with these claims; sparse, so that it takes little space whatever it claims."""
    names = b"\0.shstrtab\0.dynsym\0.dynstr\0.gnu.hash\0"
    dynsym = section(names.index(b".dynsym"), 11, 0x1000, 48, link=3)
    huge = 40_000_000_000
    strings, hashes, data = (0x300, 16, 0), None, b""
    if kind == "endless chain":
        hashes, data = huge, struct.pack("<IIIIQI", 1, 1, 1, 6, 2**64 - 1, 1)
    elif kind == "chain beyond the end":
        hashes, data = 64, struct.pack("<IIIIQI", 1, 1, 1, 6, 2**64 - 1, 0xFFFFFF)
    elif kind == "no buckets":
        hashes, data = 64, struct.pack("<IIIIQI", 0, 1, 0, 6, 2**64 - 1, 1)
    elif kind == "countless buckets":
        hashes, data = huge, struct.pack("<IIII", 40_000_000, 1, 1, 6)
    elif kind == "huge strings":
        strings = (0x10000, 6_000_000_000, 0)
    elif kind == "compressed strings":
        packed = zlib.compress(bytes(1 << 28))
        data = struct.pack("<IIQQ", 1, 0, 1 << 28, 1) + packed
        strings = (0x10000, len(data), 0x800)
    else:
        data = b"SSL_read\0" * 200_000
        strings = (0x10000, len(data), 0)
    sections = [
        bytes(64),
        section(1, 3, 0x200, len(names)),
        dynsym,
        section(names.index(b".dynstr"), 3, strings[0], strings[1], flags=strings[2]),
    ]
    if hashes is not None:
        sections.append(section(names.index(b".gnu.hash"), 0x6FFFFFF6, 0x10000, hashes, link=2))
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0x400, 0, 64, 56, 0, 64, len(sections), 1
    )
    path = folder / "libssl.so.3"
    with path.open("wb") as file:
        for offset, piece in ((0, head), (0x200, names), (0x400, b"".join(sections)), (0x10000, data)):
            file.seek(offset)
            file.write(piece)
        file.truncate(max(0x20000, 0x10000 + len(data), 0x10000 + (hashes or 0), sum(strings[:2])))
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "endless chain",
        "chain beyond the end",
        "no buckets",
        "countless buckets",
        "huge strings",
        "compressed strings",
        "one name again and again",
    ],
)
def test_a_hostile_file_offers_nothing_and_costs_little(tmp_path: Path, kind: str) -> None:
    """Any user of a container may place such a file where the agent looks."""
    path = file_of(tmp_path, kind)
    tracemalloc.start()
    try:
        with path.open("rb") as stream:
            assert elf.function_offsets(stream, frozenset({"SSL_read", "SSL_write"})) == {}
            assert elf.build_id(stream) is None
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
