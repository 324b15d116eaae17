"""TLS libraries are rows: the rules for each row, and that no other module names a library."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent.probes import abi, tls
from agent.probes.tls import BORINGSSL, GNUTLS, LIBRARIES, OPENSSL, RUSTLS, TlsLibrary

AGENT = Path(tls.__file__).parents[1]
FORK = AGENT / "probes/boringssl.py"  # has its names
COMMAND = AGENT / "doctor/selftest.py"  # makes its certificate with the openssl command
OTHER = "/usr/lib/libcrypto.so.3"
WITH_HANDSHAKES = [library for library in LIBRARIES if library is not RUSTLS]  # it counts its records


def test_every_library_has_a_number_and_a_name_of_its_own() -> None:
    numbers = [library.source for library in LIBRARIES]
    assert len({library.name for library in LIBRARIES}) == len(set(numbers)) == len(LIBRARIES)
    assert set(numbers).isdisjoint(abi.EventSource)
    assert all(0 < number < 256 for number in numbers)


def test_no_two_libraries_have_one_function() -> None:
    functions = Counter(function for library in LIBRARIES for function in library.hooks)
    assert set(functions.values()) == {1}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_library_reads_and_writes_and_every_call_that_is_remembered_is_used_up(library: TlsLibrary) -> None:
    assert sum(hook.has_plaintext for hook in library.hooks.values()) >= 2
    plaintext = [hook for hook in library.hooks.values() if hook.has_plaintext]
    assert all(hook.exit for hook in plaintext) or not any(hook.exit for hook in plaintext)
    assert tls.defining(library.hooks) == (library,)
    assert tls.defining([*library.hooks][:1]) == (library,)
    assert library.cure
    assert f"-DSOURCE_{library.name.upper()}={library.source}" in tls.compiler_flags()


@pytest.mark.parametrize("library", WITH_HANDSHAKES, ids=lambda library: library.name)
def test_handshakes_are_attached_after_what_reads_and_writes_plaintext(library: TlsLibrary) -> None:
    names = [*library.hooks]
    plaintext = [names.index(name) for name in names if library.hooks[name].has_plaintext]
    handshakes = [names.index(name) for name in names if "handshake" in name.lower()]
    assert handshakes
    assert max(plaintext) < min(handshakes)


def test_a_file_is_a_librarys_by_its_name() -> None:
    assert list(tls.named("/usr/lib/libssl.so.3")) == [OPENSSL]
    assert list(tls.named(OTHER)) == []
    assert not tls.is_library(OTHER)
    assert tls.defining(["malloc"]) == ()


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/usr/lib/x86_64-linux-gnu/libgnutls.so.30.34.3", GNUTLS),
        ("/app/wheel.libs/libgnutls-1a2b3c4d.so.30", GNUTLS),
        ("/usr/lib/libgnutls-dane.so.0", None),
        ("/usr/lib/libgnutls-openssl.so.27", None),
        ("/usr/lib/libgnutlsxx.so.30", None),
    ],
)
def test_what_only_calls_gnutls_is_not_it(path: str, library: TlsLibrary | None) -> None:
    assert next(tls.named(path), None) is library


@pytest.mark.parametrize(
    "path",
    [
        "/app/site-packages/grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so",
        "/usr/lib/ruby/gems/grpc/src/ruby/lib/grpc/3.3/grpc_c.so",
        "/usr/lib/php/20230831/grpc.so",
        "/opt/vcpkg/lib/libgrpc.so.46",
        "/tmp/libnetty_tcnative_linux_x86_64123.so",
        "/tmp/libio_grpc_netty_shaded_netty_tcnative_linux_x86_64123.so",
    ],
)
def test_what_may_contain_boringssl_is_examined_by_its_content(path: str) -> None:
    assert list(tls.named(path)) == [BORINGSSL]


def test_the_row_alone_knows_openssl_by_name() -> None:
    knowing = {
        path
        for path in AGENT.rglob("*.py")
        if OPENSSL.name in path.read_text().lower() and path not in (Path(tls.__file__), COMMAND, FORK)
    }
    assert knowing == set()
