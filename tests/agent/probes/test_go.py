"""Functions of Go programs: held to what the symbols and the disassembler say of programs built here."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import elf, go, tls
from agent.probes.elf import Function
from agent.probes.tls import GO
from tests.e2e.go_programs import BUILDS, Build

READ, WRITE = "crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write"
WITH_SYMBOLS = Build("plain", "current", False, ())
RET = 0xC3


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WITH_SYMBOLS.make(tmp_path_factory.mktemp("go"))


def found_in(data: bytes) -> dict[str, Function]:
    return go.functions(io.BytesIO(data), GO.hooks)


def disassembled(program: Path, function: str) -> tuple[int, list[int]]:
    """The addresses of a function's first push, and of the instructions in it that return."""
    objdump = shutil.which("objdump") or pytest.skip("no objdump")
    argv = [objdump, "--disassemble=" + function, "--no-show-raw-insn", str(program)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    start, *_ = re.findall(r"^ *([0-9a-f]+):\tpush +%rbp", text, re.MULTILINE)
    return int(start, 16), [int(at, 16) for at in re.findall(r"^ *([0-9a-f]+):\tret", text, re.MULTILINE)]


def name_of(data: bytes | bytearray, tables: int, records: int, entry: int) -> str:
    """The name of a function, by its entry in Go's tables."""
    (names,) = struct.unpack_from("<Q", data, tables + 32)
    (record,) = struct.unpack_from("<I", data, entry + 4)
    (name,) = struct.unpack_from("<I", data, tables + records + record + 4)
    start = tables + names + name
    return data[start : data.index(b"\0", start)].decode()


@pytest.mark.parametrize("function", GO.hooks)
def test_a_function_and_each_instruction_that_returns_are_where_the_disassembler_shows_them(
    program: Path, function: str
) -> None:
    entry, returns = disassembled(program, function)
    with program.open("rb") as stream:
        found = go.functions(stream, [function])[function]
        file = elf.opened(stream)
        assert found.entry == elf.file_offset(file, entry)
        assert list(found.returns) == [elf.file_offset(file, at) for at in returns]
    assert len(returns) > 1


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_they_are_found_in_a_stripped_program_however_it_was_linked(build: Build, tmp_path: Path) -> None:
    data = build.make(tmp_path).read_bytes()
    found = found_in(data)
    assert set(found) == set(GO.hooks)
    assert all(data[at] == RET for function in found.values() for at in function.returns)
    assert tls.functions(io.BytesIO(data)) == found


def test_symbols_alone_never_have_a_go_function_probed(program: Path) -> None:
    """It would be given a return probe, which crashes the program."""
    data = bytearray(program.read_bytes())
    for table in go.STARTS:
        data = data.replace(table, bytes(len(table)))
    with program.open("rb") as stream:
        assert elf.function_offsets(stream, [READ])
    assert found_in(bytes(data)) == {}
    assert tls.functions(io.BytesIO(bytes(data))) == {}


def test_a_function_that_does_not_return_as_its_table_says_is_not_probed(program: Path) -> None:
    data = bytearray(program.read_bytes())
    data[found_in(bytes(data))[WRITE].returns[2]] = 0xCC
    assert found_in(bytes(data)) == {}


@pytest.mark.parametrize("bound", ["MAX_FUNCTIONS", "MAX_RETURNS", "MAX_SHIFT"])
def test_a_program_that_takes_more_work_than_a_real_one_offers_nothing(
    program: Path, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of a container may have made it: each instruction that returns would cost a probe."""
    monkeypatch.setattr(go, bound, 0)
    assert found_in(program.read_bytes()) == {}


def test_a_program_that_names_one_function_again_and_again_offers_nothing(program: Path) -> None:
    data = bytearray(program.read_bytes())
    (tables,) = (at for start in go.STARTS if (at := data.find(start)) >= 0)
    count, *_, records = struct.unpack_from("<QQQQQQQQ", data, tables + 8)
    entries = range(tables + records, tables + records + 8 * count, 8)
    (read,) = (entry for entry in entries if name_of(data, tables, records, entry) == READ)
    data[entries[1] + 4 : entries[1] + 8] = data[read + 4 : read + 8]
    assert found_in(bytes(data)) == {}


def test_a_damaged_program_offers_nothing_wrong_and_raises_nothing(program: Path) -> None:
    data = program.read_bytes()
    whole = found_in(data)
    for cut in range(0, len(data), len(data) // 40):
        assert found_in(data[:cut]) in ({}, whole)
    tables = data.find(go.STARTS[1])
    for at in range(tables, tables + 72):
        spoilt = bytearray(data)
        spoilt[at] ^= 0xFF
        assert all(
            data[place] == RET for function in found_in(bytes(spoilt)).values() for place in function.returns
        )


@given(st.binary(max_size=300))
def test_any_bytes_behind_elfs_magic_number_offer_nothing(noise: bytes) -> None:
    assert found_in(b"\x7fELF\x02\x01\x01" + noise) == {}
