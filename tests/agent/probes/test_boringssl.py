"""BoringSSL in grpcio's own library: found, or not at all. tests/e2e shows that these are the functions."""

from __future__ import annotations

import importlib.util
import io
import ssl  # maps OpenSSL into this process
from pathlib import Path
from types import ModuleType

import pytest
from elftools.elf.elffile import ELFFile

from agent.probes import boringssl, targets
from agent.probes import code as code_of
from agent.probes.code import Code

NAMES = ("SSL_read", "SSL_write", "SSL_do_handshake", "SSL_free")
PREFIXED = tuple(boringssl.PREFIX + name for name in NAMES)


@pytest.fixture(scope="module")
def library() -> bytes:
    spec = importlib.util.find_spec("grpc._cython.cygrpc")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_bytes()


def test_the_functions_of_grpcio_are_found_and_begin_where_its_unwinder_says(library: bytes) -> None:
    found = boringssl.locate(ELFFile(io.BytesIO(library)))
    code = Code(ELFFile(io.BytesIO(library)))
    assert sorted(found) == sorted(NAMES)
    assert len(set(found.values())) == len(NAMES)
    assert all(code.is_function(at) for at in found.values())
    assert len(boringssl.functions(io.BytesIO(library), PREFIXED)) == len(NAMES)


@pytest.mark.parametrize(
    ("what", "other"),
    [
        (b"ssl/ssl_lib.cc\0", b"ssl/ssl_lib.cC\0"),
        (b"ssl/bio_ssl.cc\0", b"ssl/ssl_lib.cc\0"),
        (b"\xba\xe2\0\0\0", b"\xba\xe1\0\0\0"),
        (b"\x07\x02\0\0\0\0\0\0", bytes(8)),
        (b"\x01\x1b\x03\x3b", b"\x01\x1b\x03\x1b"),
    ],
    ids=["no such source", "two such sources", "other reasons", "no table", "no functions"],
)
def test_where_one_of_the_signs_is_missing_nothing_is_found(
    library: bytes, what: bytes, other: bytes
) -> None:
    assert what in library
    assert boringssl.functions(io.BytesIO(library.replace(what, other)), PREFIXED) == {}


def test_a_damaged_file_offers_nothing_and_raises_nothing(library: bytes) -> None:
    for cut in range(0, len(library), len(library) // 20):
        assert boringssl.functions(io.BytesIO(library[:cut]), PREFIXED) == {}
        spoilt = bytearray(library)
        spoilt[cut : cut + 4096] = b"\xff" * 4096
        assert len(boringssl.functions(io.BytesIO(bytes(spoilt)), PREFIXED)) in (0, len(NAMES))


@pytest.mark.parametrize(
    ("module", "bound"),
    [
        (code_of, "MAX_INSTRUCTIONS"),
        (code_of, "MAX_REFERENCES"),
        (code_of, "MAX_CALLING"),
        (boringssl, "MAX_BIO_TABLES"),
    ],
)
def test_a_file_that_takes_more_work_than_a_real_one_offers_nothing(
    library: bytes, module: ModuleType, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of a container may have made it so that each function is searched once for each table."""
    monkeypatch.setattr(module, bound, 0)
    assert boringssl.functions(io.BytesIO(library), PREFIXED) == {}


def test_openssl_is_not_taken_for_it() -> None:
    assert ssl.OPENSSL_VERSION
    mapped = targets.mapped_libraries(Path("/proc/self/maps").read_text())
    paths = [file.path for file in mapped if "ssl" in file.path]
    assert paths
    for path in paths:
        with open(path, "rb") as stream:
            assert boringssl.functions(stream, PREFIXED) == {}
