"""TLS libraries as data: a row defines the files, the functions to probe, and their programs.

A new library is a row of LIBRARIES and its entry programs in bpf/tls.c; the doctor, the status page and
records refer to it by the row's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from agent.probes import boringssl, conscrypt, elf, go, rustls
from agent.probes.elf import Function
from agent.probes.method_table import MethodTable

Find = Callable[[IO[bytes], Iterable[str]], dict[str, Function]]
"""Finds the functions of these names in a file; raises nothing, whatever the file is."""


@dataclass(frozen=True, slots=True)
class Hook:
    """The programs of bpf/tls.c at a function's entry and return; `has_plaintext` if it reads or writes.

    `inner` is the function that it calls for all its work: where a library has that one, it alone is probed,
    so that bytes do not count twice.
    """

    entry: str
    exit: str | None = None
    has_plaintext: bool = False
    inner: str | None = None

    @property
    def programs(self) -> Iterator[str]:
        yield from (name for name in (self.entry, self.exit) if name)


@dataclass(frozen=True, slots=True)
class TlsLibrary:
    """One library. `name` is for records and JSON, `title` for sentences.

    `source` is its unique number in events, from 1 on; bpf/tls.c has it as SOURCE_ and the name in capitals.
    `files` matches the paths of files that contain it, None if only programs do; `find` finds its functions
    in a file. `marks` are texts in files that contain it and in which they are not found; `cure` is for
    these. `tables` hold functions of `hooks` that it does not export. `brought` is true if the agent brings
    the files, when asked to, and programs do not have them.

    `hooks` are in the order in which they are attached. Handshakes come after all that reads or writes: a
    connection of which the handshake was seen is to be seen whole.
    """

    name: str
    title: str
    source: int
    files: re.Pattern[str] | None
    find: Find
    hooks: Mapping[str, Hook]
    marks: tuple[bytes, ...]
    cure: str
    tables: tuple[MethodTable, ...] = ()
    brought: bool = False


def _entries(offsets: Mapping[str, int]) -> dict[str, Function]:
    return {name: Function(offset) for name, offset in offsets.items()}


def _by_symbols(file: IO[bytes], names: Iterable[str]) -> dict[str, Function]:
    return _entries(elf.function_offsets(file, names, TABLES))


def _in_boringssl(file: IO[bytes], names: Iterable[str]) -> dict[str, Function]:
    return _entries(conscrypt.functions(file, names) or boringssl.functions(file, names))


OPENSSL = TlsLibrary(
    name="openssl",
    title="OpenSSL",
    source=1,
    # The distribution's library, bundled copies (libssl-1a2b3c.so), and modules of Python that contain it:
    # its own, and cryptography's, which pyOpenSSL and Twisted use.
    files=re.compile(r"(?:^|/)(?:libssl[^/]*\.so[^/]*|_ssl[^/]*\.so|_(?:rust|openssl)\.abi3\.so)$"),
    find=_by_symbols,
    hooks={
        "SSL_read": Hook("openssl_read", "openssl_return", has_plaintext=True),
        "SSL_write": Hook("openssl_write", "openssl_return", has_plaintext=True),
        "SSL_read_ex": Hook("openssl_read_ex", "openssl_return", has_plaintext=True),
        "SSL_write_ex": Hook("openssl_write_ex", "openssl_return", has_plaintext=True),
        "SSL_sendfile": Hook("openssl_sendfile", "openssl_return", has_plaintext=True),
        # Of programs that read and write through a BIO, which does without SSL_read and SSL_write.
        "BIO_f_ssl.bread": Hook("openssl_bio_read", "openssl_return", has_plaintext=True),
        "BIO_f_ssl.bwrite": Hook("openssl_bio_write", "openssl_return", has_plaintext=True),
        "SSL_do_handshake": Hook("openssl_plain", "openssl_return"),
        "SSL_shutdown": Hook("openssl_plain", "openssl_return"),
        "SSL_free": Hook("openssl_free"),
    },
    marks=(b"ssl/ssl_lib.c\0",),
    cure="use a build that links the distribution's OpenSSL dynamically",
    tables=(
        # A BIO_METHOD (include/internal/bio.h): type, name, bwrite, bwrite_old, bread, bread_old, bputs, and
        # more. OpenSSL 1.1.0 has bread in a place that must be empty: its functions have another form.
        MethodTable(
            "BIO_f_ssl",
            type=0x207,
            slots={"BIO_f_ssl.bwrite": 16, "BIO_f_ssl.bread": 32},
            empty=(24, 40),
        ),
    ),
)

GNUTLS = TlsLibrary(
    name="gnutls",
    title="GnuTLS",
    source=2,
    # Not its wrappers (libgnutlsxx.so, libgnutls-dane.so, libgnutls-openssl.so), which call it.
    files=re.compile(r"(?:^|/)libgnutls(?:-[0-9a-f]{8,})?\.so[^/]*$"),
    find=_by_symbols,
    hooks={
        "gnutls_record_recv": Hook("gnutls_read", "gnutls_return", has_plaintext=True),
        "gnutls_record_recv_seq": Hook("gnutls_read", "gnutls_return", has_plaintext=True),
        "gnutls_record_send": Hook(
            "gnutls_write", "gnutls_return", has_plaintext=True, inner="gnutls_record_send2"
        ),
        "gnutls_record_send2": Hook("gnutls_write", "gnutls_return", has_plaintext=True),
        "gnutls_record_uncork": Hook("gnutls_flush", "gnutls_return"),
        "gnutls_handshake": Hook("gnutls_plain", "gnutls_return"),
        "gnutls_deinit": Hook("gnutls_free"),
    },
    marks=(b"REC[%p]: Preparing Packet ",),
    cure="use a build that links the distribution's GnuTLS dynamically",
)

BORINGSSL = TlsLibrary(
    name="boringssl",
    title="BoringSSL",
    source=4,
    # gRPC's for Python, Ruby, PHP and C++; Java's bindings, Netty's also under the names of those that bring
    # it along (libio_grpc_netty_shaded_netty_tcnative_linux_x86_64.so); Chromium's network stack.
    files=re.compile(
        r"/(?:cygrpc\.|(?:lib)?grpc(?:_c)?\.so|lib(?:\w+_)?netty_tcnative|libconscrypt|libcronet|libboringssl)"
        r"[^/]*$"
    ),
    find=_in_boringssl,
    hooks={
        "BoringSSL's SSL_read": Hook("boringssl_read", "openssl_return", has_plaintext=True),
        "BoringSSL's SSL_write": Hook("boringssl_write", "openssl_return", has_plaintext=True),
        # Those of Conscrypt that Java calls.
        "Conscrypt's ENGINE_SSL_read_direct": Hook("conscrypt_read", "openssl_return", has_plaintext=True),
        "Conscrypt's ENGINE_SSL_write_direct": Hook("conscrypt_write", "openssl_return", has_plaintext=True),
        "BoringSSL's SSL_do_handshake": Hook("boringssl_plain", "openssl_return"),
        "Conscrypt's ENGINE_SSL_do_handshake": Hook("conscrypt_plain", "openssl_return"),
        "BoringSSL's SSL_free": Hook("boringssl_free"),
        "Conscrypt's SSL_free": Hook("conscrypt_free"),
    },
    marks=(b"ssl/ssl_lib.cc\0",),
    cure="use a build with symbols",
)

GO = TlsLibrary(
    name="go",
    title="Go's crypto/tls",
    source=3,
    files=None,
    find=go.functions,
    hooks={
        "crypto/tls.(*Conn).Close": Hook("go_close"),
        "crypto/tls.(*Conn).Write": Hook("go_write", "go_return", has_plaintext=True),
        # Each of these begins a connection (bpf/tls_go.c).
        "crypto/tls.(*Conn).Read": Hook("go_read", "go_return", has_plaintext=True),
        "crypto/tls.(*Conn).clientHandshake": Hook("go_handshake"),
        "crypto/tls.(*Conn).serverHandshake": Hook("go_handshake"),
    },
    marks=(),
    cure="build it with Go 1.18 or newer, for x86-64",
)

JAVA = TlsLibrary(
    name="java",
    title="Java's own TLS (JSSE)",
    source=5,
    # Four empty functions, to which classes that agent/java changes pass plaintext.
    files=re.compile(r"/libspectap_java\.so$"),
    find=_by_symbols,
    hooks={
        "Java_spectap_java_Stub_sent": Hook("java_sent", has_plaintext=True),
        "Java_spectap_java_Stub_received": Hook("java_received", has_plaintext=True),
        "Java_spectap_java_Stub_handshake": Hook("java_handshake"),
        "Java_spectap_java_Stub_end": Hook("java_end"),
    },
    marks=(),
    cure="run the agent with --java",
    brought=True,
)

RUSTLS = TlsLibrary(
    name="rustls",
    title="rustls",
    source=6,
    files=None,
    find=rustls.functions,
    hooks={
        rustls.DECRYPT: Hook("rustls_decrypt"),
        rustls.TRAFFIC_12: Hook("rustls_traffic_older", has_plaintext=True),
        rustls.TRAFFIC_13: Hook("rustls_traffic_newer", has_plaintext=True),
        # Begins a connection, as traffic does (bpf/tls_rustls.c).
        rustls.ENCRYPT: Hook("rustls_encrypt", has_plaintext=True),
    },
    marks=(b"/rustls-0.",),
    cure="build it with symbols (strip = false in Cargo's profile), and rustls 0.23 for x86-64",
)

LIBRARIES = (OPENSSL, GNUTLS, BORINGSSL, GO, JAVA, RUSTLS)
SHARED = tuple(library for library in LIBRARIES if library.files and not library.brought)
"""Those of programs that a loader maps."""

HOOKS: dict[str, Hook] = {function: hook for library in LIBRARIES for function, hook in library.hooks.items()}
"""Function -> its hook; no two libraries export one name."""

TABLES = tuple(table for library in LIBRARIES for table in library.tables)
PLAINTEXT_FUNCTIONS = frozenset(function for function, hook in HOOKS.items() if hook.has_plaintext)


def programs(java: bool) -> tuple[str, ...]:
    """All programs, or those without Java's, which are there only if they are asked for."""
    return _programs(library for library in LIBRARIES if java or library is not JAVA)


def first_programs(java: bool) -> tuple[str, ...]:
    """Those that are loaded as capture starts: nearly every host has OpenSSL, and Java's are asked for."""
    return _programs((OPENSSL, JAVA) if java else (OPENSSL,))


def _programs(rows: Iterable[TlsLibrary]) -> tuple[str, ...]:
    return tuple(sorted({name for row in rows for hook in row.hooks.values() for name in hook.programs}))


PROGRAMS = programs(java=True)


def titles(libraries: Iterable[TlsLibrary]) -> str:
    """Their titles, for sentences."""
    return " or ".join(library.title for library in libraries)


TITLES = titles(library for library in LIBRARIES if not library.brought)
MAX_NAME = 300
"""A slash, NAME_MAX bytes (limits.h), and what /proc adds to the name of a deleted file."""


def named(path: str) -> Iterator[TlsLibrary]:
    """The libraries that a file with this name may contain.

    Only a name that a file can have is matched: a loader's cache in a container may have text of any length,
    on which a pattern could take hours.
    """
    name = path[max(0, path.rfind("/")) :]
    if len(name) > MAX_NAME:
        return
    yield from (library for library in LIBRARIES if library.files and library.files.search(name))


def is_library(path: str) -> bool:
    """Whether a file with this name may contain a library that can be probed."""
    return next(named(path), None) is not None


def defining(functions: Iterable[str]) -> tuple[TlsLibrary, ...]:
    """The libraries with any of these functions."""
    known = frozenset(functions)
    return tuple(library for library in LIBRARIES if not known.isdisjoint(library.hooks))


def functions(file: IO[bytes]) -> dict[str, Function]:
    """The functions to probe in this file, by name, in the order of the rows."""
    found: dict[str, Function] = {}
    for find in dict.fromkeys(library.find for library in LIBRARIES):
        names = [name for library in LIBRARIES if library.find is find for name in library.hooks]
        found |= find(file, names)
    return {name: found[name] for name, hook in HOOKS.items() if name in found and hook.inner not in found}


def compiler_flags() -> Iterator[str]:
    """The rows as compiler flags for bpf/tls.c."""
    return (f"-DSOURCE_{library.name.upper()}={library.source}" for library in LIBRARIES)
