"""Conscrypt's functions, by the table that registers them with Java, in libraries compiled here."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import conscrypt, tls
from agent.probes.conscrypt import PREFIX, SIGNATURES

NAMES = [PREFIX + name.decode() for name in SIGNATURES]
OTHERS = {
    b"X_ENGINE_SSL_read_direct": b"(J)I",  # its end is another's name: a linker stores that once
    b"ENGINE_SSL_shutdown": SIGNATURES[b"ENGINE_SSL_do_handshake"],
    b"SSL_read": b"(JLorg/conscrypt/NativeSsl;Ljava/io/FileDescriptor;[BIII)I",
}


def library(folder: Path, table: Mapping[bytes, bytes], more: str = "") -> bytes:
    """A stripped library that registers these functions, by name and signature."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source = "".join(f"static int f{n}(void) {{ return {n}; }}\n" for n in range(len(table)))
    rows = (f'{{"{name.decode()}", "{of.decode()}", f{n}}}' for n, (name, of) in enumerate(table.items()))
    source += f"const struct {{ const char *name, *of; void *at; }} table[] = {{{', '.join(rows)}}};\n"
    source += f"int JNI_OnLoad(void) {{ return 0; }}\n{more}"
    built = folder / "library.so"
    argv = [compiler, "-x", "c", "-", "-shared", "-fPIC", "-O1", "-w", "-s", "-o", str(built)]
    subprocess.run(argv, input=source.encode(), check=True)
    return built.read_bytes()


def found_in(data: bytes) -> dict[str, int]:
    return conscrypt.functions(io.BytesIO(data), NAMES)


@pytest.mark.parametrize("table", [SIGNATURES | OTHERS, OTHERS | SIGNATURES], ids=["first", "last"])
def test_each_function_is_found_among_others(tmp_path: Path, table: Mapping[bytes, bytes]) -> None:
    found = found_in(library(tmp_path, table))
    assert sorted(found) == sorted(NAMES)
    assert len(set(found.values())) == len(NAMES)
    assert tls.defining(found) == (tls.BORINGSSL,)


@pytest.mark.parametrize("name", SIGNATURES)
def test_without_one_of_them_or_with_other_arguments_nothing_is_found(tmp_path: Path, name: bytes) -> None:
    assert found_in(library(tmp_path, {key: of for key, of in SIGNATURES.items() if key != name})) == {}
    assert found_in(library(tmp_path, SIGNATURES | {name: SIGNATURES[name] + b"V"})) == {}


def test_where_boringssl_has_symbols_they_are_used_instead(tmp_path: Path) -> None:
    assert found_in(library(tmp_path, SIGNATURES, "int SSL_read(void) { return 1; }")) == {}


def test_a_library_that_java_does_not_load_has_none(tmp_path: Path) -> None:
    assert found_in(library(tmp_path, SIGNATURES).replace(b"JNI_OnLoad", b"JNI_OnLoaf")) == {}


def test_a_damaged_file_has_none_and_raises_nothing(tmp_path: Path) -> None:
    whole = library(tmp_path, SIGNATURES)
    for cut in range(0, len(whole), 97):
        found_in(whole[:cut])
        found_in(whole[:cut] + b"\xff" * 64 + whole[cut + 64 :])


@given(st.binary(max_size=300))
def test_any_bytes_have_none(data: bytes) -> None:
    assert found_in(data) == {}
