"""What code without symbols tells: checked against what nm says of the same code before it is stripped."""

import io
import shutil
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from agent.probes import code
from agent.probes.code import Code, NotUnderstoodError

SOURCE = """
const char text[] = "a text of its own";
__attribute__((noinline)) int third(int x) { return x * 3; }
__attribute__((noinline)) int second(int x) { return third(x) + third(x + 1); }
__attribute__((noinline)) const char *first(int x) { return text + second(x) + x; }
int main(int argc, char **argv) { return *first(argc); }
"""
NAMES = ("first", "second", "third", "main")
LOAD = b"\x48\x8d"  # lea, to any register


@pytest.fixture
def built(tmp_path: Path) -> Path:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    path = tmp_path / "built"
    flags = ("-O1", "-fno-optimize-sibling-calls", "-fPIE", "-pie", "-fasynchronous-unwind-tables")
    subprocess.run([compiler, "-x", "c", "-", *flags, "-o", path], input=SOURCE.encode(), check=True)
    return path


def symbols(path: Path) -> dict[str, tuple[int, int]]:
    """Address and size by name."""
    lines = subprocess.run(["nm", "-S", path], check=True, capture_output=True, text=True).stdout
    words = [line.split() for line in lines.splitlines()]
    return {word[3]: (int(word[0], 16), int(word[1], 16)) for word in words if len(word) == 4}


def test_functions_their_sizes_and_what_they_call_and_refer_to_are_found_without_symbols(built: Path) -> None:
    known = symbols(built)
    subprocess.run(["strip", built], check=True)
    with built.open("rb") as stream:
        found = Code(ELFFile(stream))
    at = {name: known[name][0] for name in NAMES}
    assert all(found.is_function(at[name]) and found.size(at[name]) == known[name][1] for name in NAMES)
    assert not found.is_function(at["first"] + 1)
    assert found.function_of(at["first"] + 1) == at["first"]
    assert found.called(at["first"]) == [at["second"]]
    assert found.called(at["second"]) == [at["third"], at["third"]]
    assert found.called(at["third"]) == []
    loads = (LOAD + bytes([register << 3 | 5]) for register in range(8))
    places = [place for load in loads for place in found.references(load, known["text"][0])]
    assert [found.function_of(place) for place in places] == [at["first"]]


def test_an_address_between_functions_is_of_none(built: Path) -> None:
    with built.open("rb") as stream:
        found = Code(ELFFile(stream))
    first, size = symbols(built)["main"]
    with pytest.raises(NotUnderstoodError):
        found.function_of(first + size + 1_000_000)


def test_a_section_that_is_too_large_is_not_read(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_SECTION_BYTES", 16)
    with built.open("rb") as stream, pytest.raises(NotUnderstoodError):
        Code(ELFFile(stream))


def test_a_section_that_is_compressed_is_not_read(built: Path) -> None:
    """A hostile one would become a thousand times as large, with no bound if it claims to have no bytes."""
    data = bytearray(built.read_bytes())
    whole = ELFFile(io.BytesIO(bytes(data)))
    header = whole["e_shoff"] + whole.get_section_index(".rodata") * whole["e_shentsize"]
    bomb = struct.pack("<IIQQ", 1, 0, 0, 1) + zlib.compress(bytes(1 << 28))
    struct.pack_into("<QQQQ", data, header + 8, 0x802, 0x2000, len(data), len(bomb))
    tracemalloc.start()
    try:
        with pytest.raises(NotUnderstoodError):
            code.section(ELFFile(io.BytesIO(bytes(data + bomb))), ".rodata")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
