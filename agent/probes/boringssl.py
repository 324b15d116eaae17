"""Finds the functions of BoringSSL in files without symbols, such as grpcio's.

BoringSSL reports an error by a call that names its own source file and line, and the reason: a number that
never changes (include/openssl/ssl.h, err.h). That tells the functions of ssl/ssl_lib.cc apart, and the table
of BIO_f_ssl(), in ssl/bio_ssl.cc, whose functions call them, tells the rest:

    function          known by
    SSL_write         its reasons: under QUIC, uninitialized, handshake failed, bad length
    SSL_shutdown      its reasons: uninitialized, data on shutdown
    SSL_do_handshake  its reason: no type set; the shortest of those that have it inlined
    SSL_read          the reason of SSL_peek, which it has inlined: under QUIC, some lines above SSL_write;
                      unlike SSL_peek, it is called by the table's functions
    SSL_free          called after SSL_shutdown by the table's function that calls both, and by no other of it

A compiler that shares code among errors, or does not inline, leaves another picture: nothing is found. It
is all or nothing, since a probe in the wrong place is worse than none.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TypeVar

from elftools.elf.elffile import ELFFile

from agent.probes import elf
from agent.probes.code import CALL, Code, NotUnderstoodError, section

PREFIX = "BoringSSL's "
"""Since OpenSSL's functions have the same names."""

SOURCE = b"ssl/ssl_lib.cc\0"
UNDER_QUIC = 66  # ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED
BAD_LENGTH, NO_TYPE, HANDSHAKE_FAILED, UNINITIALIZED, DATA_ON_SHUTDOWN = 111, 134, 215, 226, 291
"""SSL_R_BAD_LENGTH, SSL_R_CONNECTION_TYPE_NOT_SET, SSL_R_SSL_HANDSHAKE_FAILURE, SSL_R_UNINITIALIZED,
SSL_R_APPLICATION_DATA_ON_SHUTDOWN.
"""

FILE_ARGUMENT = b"\x48\x8d\x0d"  # lea rcx, [rip + ...]
REASON_ARGUMENT = re.compile(rb"\xba(..)\0\0", re.DOTALL)  # mov edx, ...
LINE_ARGUMENT = re.compile(rb"\x41\xb8(..)\0\0", re.DOTALL)  # mov r8d, ...
NEAR = 40
"""Bytes of code, before and after the argument that names the file, which hold the others."""
LINES_ABOVE = 40
"""SSL_peek is at most so many lines above SSL_write."""

BIO_TYPE = (0x207).to_bytes(8, "little")  # BIO_TYPE_SSL of include/openssl/bio.h, and padding
BIO_TABLE_BYTES = 96
MAX_BIO_TABLES = 64
"""Places that look like such a table; grpcio's library has one."""
RELOCATION = struct.Struct("<QQQ")  # Elf64_Rela: place, how, value
RELATIVE, POINTER = 8, 8  # R_X86_64_RELATIVE; bytes

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Error:
    """One report of an error."""

    reason: int
    line: int


Errors = dict[int, set[Error]]
"""By function."""


def functions(stream: IO[bytes], names: Iterable[str]) -> dict[str, int]:
    """File offsets of the functions of these names, each PREFIX and BoringSSL's own, in a file that has no
    symbols for them; empty if not all are found.
    """
    try:
        file = elf.opened(stream)
        found = {PREFIX + name: elf.file_offset(file, at) for name, at in locate(file).items()}
        if elf.function_offsets(stream, ["SSL_read"]):
            return {}
        return {name: at for name, at in found.items() if at is not None and name in names}
    except Exception:  # of a hostile file: anything
        return {}


def locate(file: ELFFile) -> dict[str, int]:
    """Addresses of the functions, by name. Raises NotUnderstoodError, or anything for a hostile file."""
    source = _source_name(file)
    code = Code(file)
    errors = _errors(code, source)
    write = _only(_giving(errors, UNDER_QUIC, UNINITIALIZED, HANDSHAKE_FAILED, BAD_LENGTH))
    shutdown = _only(_giving(errors, UNINITIALIZED, DATA_ON_SHUTDOWN))
    table = _only(called for called in _bio_tables(code, file) if _calls(called, write, shutdown))
    first = min(error.line for error in errors[write])
    read = _only(
        function
        for function in _giving(errors, UNDER_QUIC)
        if all(0 < first - error.line <= LINES_ABOVE for error in errors[function])
        and _calls(table, function)
    )
    ending = _only(called for called in table if shutdown in called)
    others = {function for called in table if called is not ending for function in called}
    free = _only(set(ending[ending.index(shutdown) + 1 :]) - others)
    handshake = min(_giving(errors, NO_TYPE), key=code.size)
    return {"SSL_read": read, "SSL_write": write, "SSL_do_handshake": handshake, "SSL_free": free}


def _source_name(file: ELFFile) -> int:
    """The address of the name of ssl_lib.cc."""
    at, constants = section(file, ".rodata")
    found = constants.find(SOURCE)
    if found < 0 or constants.find(SOURCE, found + 1) >= 0:
        raise NotUnderstoodError
    return at + constants.rfind(b"\0", 0, found) + 1


def _errors(code: Code, source: int) -> Errors:
    found: Errors = defaultdict(set)
    for at in code.references(FILE_ARGUMENT, source):
        function = code.function_of(at)
        found[function] |= set(_error(code, function, at))
    return found


def _error(code: Code, function: int, at: int) -> Iterator[Error]:
    """The error whose file is named here; its other arguments are set before the call, or just above."""
    above = code.between(max(at - NEAR, function), at)
    after = code.between(at, min(at + NEAR, function + code.size(function)))
    after = after[: after.find(CALL, len(FILE_ARGUMENT) + 4) + 1]
    reason, line = (_last(which, above, after) for which in (REASON_ARGUMENT, LINE_ARGUMENT))
    if reason is not None and line is not None:
        yield Error(reason, line)


def _last(argument: re.Pattern[bytes], above: bytes, after: bytes) -> int | None:
    values = [*argument.findall(above)[-1:], *argument.findall(after)[:1]]
    return int.from_bytes(values[-1], "little") if values else None


def _giving(errors: Errors, *reasons: int) -> list[int]:
    """The functions that give these reasons, and no others."""
    return [f for f, given in errors.items() if {error.reason for error in given} == {*reasons}]


def _bio_tables(code: Code, file: ELFFile) -> Iterator[list[list[int]]]:
    """For each table that may be BIO_f_ssl()'s, by its type: what each of its functions calls."""
    at, data = section(file, ".data.rel.ro")
    places = [at + offset for offset in range(0, len(data), POINTER) if data.startswith(BIO_TYPE, offset)]
    if len(places) > MAX_BIO_TABLES:
        raise NotUnderstoodError
    _, relocations = section(file, ".rela.dyn")
    pointers = [
        (place, value)
        for place, how, value in RELOCATION.iter_unpack(relocations)
        if how == RELATIVE and code.is_function(value)
    ]
    for table in places:
        yield [code.called(f) for place, f in pointers if table < place < table + BIO_TABLE_BYTES]


def _calls(table: list[list[int]], *functions: int) -> bool:
    """Whether a table's functions call all of these."""
    return all(any(function in called for called in table) for function in functions)


def _only(found: Iterable[Value]) -> Value:
    (one,) = found
    return one
