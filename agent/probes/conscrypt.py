"""Finds the functions through which Java calls the BoringSSL of Conscrypt, whose library has no symbols.

As it is loaded, the library registers them by a table of the JNI (RegisterNatives): of each the name, the
signature, which says what its arguments are, and the address. Where not all of them are there with the
signatures that bpf/tls.c expects, nothing is found.

These are the functions of an SSLEngine, which Conscrypt's sockets use as well, unless a program asks for
others (org.conscrypt.useEngineSocketByDefault=false): those keep plaintext in arrays of the Java heap.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import IO

from elftools.elf.elffile import ELFFile

from agent.probes import elf
from agent.probes.code import section

PREFIX = "Conscrypt's "
LOADED = "JNI_OnLoad"
"""Exported by every library that registers functions."""

_SSL = b"JLorg/conscrypt/NativeSsl;"
_CALLBACKS = b"Lorg/conscrypt/NativeCrypto$SSLHandshakeCallbacks;"
_BUFFER = b"(" + _SSL + b"JI" + _CALLBACKS + b")I"
SIGNATURES = {
    b"ENGINE_SSL_read_direct": _BUFFER,
    b"ENGINE_SSL_write_direct": _BUFFER,
    b"ENGINE_SSL_do_handshake": b"(" + _SSL + _CALLBACKS + b")I",
    b"SSL_free": b"(" + _SSL + b")V",
}
"""By name. In C two arguments of the JNI's own come first."""

RELOCATION = struct.Struct("<QQQ")  # Elf64_Rela: place, how, value
RELATIVE, POINTER = 8, 8  # R_X86_64_RELATIVE; bytes


def functions(stream: IO[bytes], names: Iterable[str]) -> dict[str, int]:
    """File offsets of the functions of these names, each PREFIX and Java's own; empty if not all are found,
    or if the file has symbols for BoringSSL's.
    """
    try:
        if not elf.function_offsets(stream, [LOADED]) or elf.function_offsets(stream, ["SSL_read"]):
            return {}
        file = elf.opened(stream)
        found = {PREFIX + name: elf.file_offset(file, at) for name, at in _registered(file)}
        offsets = {name: at for name, at in found.items() if at is not None}
    except Exception:  # of a hostile file: anything
        return {}
    return {name: offsets[name] for name in names if len(offsets) == len(SIGNATURES) and name in offsets}


def _registered(file: ELFFile) -> Iterator[tuple[str, int]]:
    """Name and address of each function that is registered with its signature, for x86-64."""
    at, texts = section(file, ".rodata")
    if file["e_machine"] != "EM_X86_64" or not all(name in texts for name in SIGNATURES):
        return
    words, places = _pointers(file)
    for name, signature in SIGNATURES.items():
        for start in _ends(texts, name + b"\0"):
            for place in places[at + start]:
                signed = words.get(place + POINTER, 0) - at
                if signed >= 0 and texts.startswith(signature + b"\0", signed):
                    yield name.decode(), words[place + 2 * POINTER]


def _ends(texts: bytes, text: bytes) -> Iterator[int]:
    """Where `text` begins, also as the end of a longer one: linkers store it once for both."""
    start = texts.find(text)
    while start >= 0:
        yield start
        start = texts.find(text, start + 1)


def _pointers(file: ELFFile) -> tuple[dict[int, int], defaultdict[int, list[int]]]:
    """The words of the file that are addresses, by place, and the places of each."""
    _, relocations = section(file, ".rela.dyn")
    words = {place: value for place, how, value in RELOCATION.iter_unpack(relocations) if how == RELATIVE}
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, value in words.items():
        places[value].append(place)
    return words, places
