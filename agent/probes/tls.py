"""TLS libraries as data: a row defines the files, the functions to probe, and their programs.

A new library is a row of LIBRARIES and its entry programs in bpf/tls.c; the doctor, the status page and
records refer to it by the row's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.probes.method_table import MethodTable


@dataclass(frozen=True, slots=True)
class Hook:
    """The programs of bpf/tls.c at a function's entry and return; `has_plaintext` if it reads or writes."""

    entry: str
    exit: str | None = None
    has_plaintext: bool = False

    @property
    def programs(self) -> Iterator[str]:
        yield from (name for name in (self.entry, self.exit) if name)


@dataclass(frozen=True, slots=True)
class TlsLibrary:
    """One library. `name` is for records and JSON, `title` for sentences.

    `source` is its unique number in events, from 1 on; bpf/tls.c has it as SOURCE_ and the name in capitals.
    `files` matches the paths of files that contain it. `marks` are texts in files that contain it without
    symbols, which cannot be probed; `cure` is for these. `tables` hold functions of `hooks` that it does not
    export.
    """

    name: str
    title: str
    source: int
    files: re.Pattern[str]
    hooks: Mapping[str, Hook]
    marks: tuple[bytes, ...]
    cure: str
    tables: tuple[MethodTable, ...] = ()


OPENSSL = TlsLibrary(
    name="openssl",
    title="OpenSSL",
    source=1,
    # The distribution's library, bundled copies (libssl-1a2b3c.so), and Python modules that contain it.
    files=re.compile(r"(?:^|/)(?:libssl[^/]*\.so[^/]*|_ssl[^/]*\.so)$"),
    hooks={
        "SSL_read": Hook("openssl_read", "openssl_return", has_plaintext=True),
        "SSL_write": Hook("openssl_write", "openssl_return", has_plaintext=True),
        "SSL_read_ex": Hook("openssl_read_ex", "openssl_return", has_plaintext=True),
        "SSL_write_ex": Hook("openssl_write_ex", "openssl_return", has_plaintext=True),
        "SSL_sendfile": Hook("openssl_sendfile", "openssl_return", has_plaintext=True),
        "SSL_do_handshake": Hook("openssl_plain", "openssl_return"),
        "SSL_shutdown": Hook("openssl_plain", "openssl_return"),
        "SSL_free": Hook("openssl_free"),
        # Of programs that read and write through a BIO, which does without SSL_read and SSL_write.
        "BIO_f_ssl.bread": Hook("openssl_bio_read", "openssl_return", has_plaintext=True),
        "BIO_f_ssl.bwrite": Hook("openssl_bio_write", "openssl_return", has_plaintext=True),
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

LIBRARIES = (OPENSSL,)

HOOKS: dict[str, Hook] = {function: hook for library in LIBRARIES for function, hook in library.hooks.items()}
"""Function -> its hook; no two libraries export one name."""

TABLES = tuple(table for library in LIBRARIES for table in library.tables)
PLAINTEXT_FUNCTIONS = frozenset(function for function, hook in HOOKS.items() if hook.has_plaintext)
PROGRAMS = tuple(sorted({program for hook in HOOKS.values() for program in hook.programs}))
TITLES = " or ".join(library.title for library in LIBRARIES)
"""Titles of the libraries, for sentences."""


def named(path: str) -> Iterator[TlsLibrary]:
    """The libraries that a file with this name may contain."""
    return (library for library in LIBRARIES if library.files.search(path))


def is_library(path: str) -> bool:
    """Whether a file with this name may contain a library that can be probed."""
    return next(named(path), None) is not None


def defining(functions: Iterable[str]) -> tuple[TlsLibrary, ...]:
    """The libraries with any of these functions."""
    known = frozenset(functions)
    return tuple(library for library in LIBRARIES if not known.isdisjoint(library.hooks))


def compiler_flags() -> Iterator[str]:
    """The rows as compiler flags for bpf/tls.c."""
    return (f"-DSOURCE_{library.name.upper()}={library.source}" for library in LIBRARIES)
