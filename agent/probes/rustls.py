"""Finds rustls' functions in a program's symbols.

They are methods that rustls calls through a `dyn` trait, so every build has them, each under its own name: of
the ciphers of a provider, and of the state after the handshake in each version of TLS, for clients and
servers. Their names are mangled, in the older way of rustc (`_ZN...E`) or the newer (`_R...`, RFC 2603):

    <rustls::crypto::ring::tls13::Tls13MessageEncrypter as rustls::crypto::cipher::MessageEncrypter>::encrypt
    <rustls::client::tls13::ExpectTraffic as rustls::common_state::State<...>>::handle

A stripped program has no such names, and nothing else that tells these functions apart. Those that encrypt
may panic, and name their source line for that; the others, which receive, name none, and their tables of
methods look like any others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import IO, Any

from elftools.elf.elffile import ELFFile

from agent.probes import elf
from agent.probes.elf import Function

ENCRYPT = "rustls' MessageEncrypter::encrypt"
DECRYPT = "rustls' MessageDecrypter::decrypt"
TRAFFIC_12 = "rustls' tls12::ExpectTraffic::handle"
TRAFFIC_13 = "rustls' tls13::ExpectTraffic::handle"

MAX_PLACES = 64
"""Of one method; a program with two providers has seven ciphers."""

END = rb"(?:17h[0-9a-f]{16}E)?(?:\.llvm\.\d+)?\0"
"""A hash of the older mangling, and what link-time optimisation appends."""
NAME = rb"_(?:ZN|R)(?:(?!Invalid)[\w.$]){1,1000}?"
"""Up to a trait's method. An `Invalid` cipher is that of a connection without keys."""
PATTERNS = {
    ENCRYPT: re.compile(NAME + rb"MessageEncrypter(?:\$GT\$)?7encrypt" + END),
    DECRYPT: re.compile(NAME + rb"MessageDecrypter(?:\$GT\$)?7decrypt" + END),
    TRAFFIC_12: re.compile(
        NAME + rb"tls12[\w.$]{0,40}?ExpectTraffic[\w.$]{1,300}?State[\w.$]{1,300}?6handle" + END
    ),
    TRAFFIC_13: re.compile(
        NAME + rb"tls13[\w.$]{0,40}?ExpectTraffic[\w.$]{1,300}?State[\w.$]{1,300}?6handle" + END
    ),
}
MARK = b"MessageEncrypter"

VERSION = re.compile(rb"/rustls-0\.(\d+)\.")
"""In the names of source files that panics report."""
KNOWN = frozenset({b"23"})
"""Those whose types bpf/tls_rustls.c knows."""


def functions(stream: IO[bytes], names: Iterable[str]) -> dict[str, Function]:
    """The `names` that a program for x86-64 defines: all that it takes, or none; empty if it is hostile."""
    try:
        found = dict(_functions(stream, frozenset(names)))
    except Exception:  # of a hostile file: anything
        return {}
    is_whole = ENCRYPT in found and DECRYPT in found and found.keys() & {TRAFFIC_12, TRAFFIC_13}
    return found if is_whole else {}


def _is_known(file: ELFFile) -> bool:
    """Whether the program names no version but known ones; it need not name any."""
    texts: Any = file.get_section_by_name(".rodata")
    return texts is None or KNOWN.issuperset(VERSION.findall(elf.contents(texts)))


def _functions(stream: IO[bytes], names: frozenset[str]) -> Iterator[tuple[str, Function]]:
    file = elf.opened(stream)
    section: Any = file.get_section_by_name(".symtab")
    if file["e_machine"] != "EM_X86_64" or section is None:
        return
    strings = elf.strings_of(file, section)
    if MARK not in strings or not _is_known(file):
        return
    wanted = {match.start(): name for name in names for match in PATTERNS[name].finditer(strings)}
    addresses: defaultdict[str, set[int]] = defaultdict(set)
    for place, address in elf.values(section):
        if address and place in wanted:
            addresses[wanted[place]].add(address)
    for name, of_name in addresses.items():
        offsets = [elf.file_offset(file, address) for address in sorted(of_name)]
        known = [offset for offset in offsets if offset is not None]
        if known and len(known) <= MAX_PLACES:
            yield name, Function(known[0], others=tuple(known[1:]))
