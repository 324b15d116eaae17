"""TLS libraries recognised by their file name that cannot be probed, and the sentence for each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.doctor.files import Mark
from agent.probes.tls import GO, JAVA, LIBRARIES, SHARED, TITLES, titles

OTHER_END = f"watch the other end if it uses {TITLES}, or let a proxy that does, such as nginx, terminate TLS"
DYNAMIC = f"use a build that links the distribution's {titles(SHARED)} dynamically, or {OTHER_END}"


@dataclass(frozen=True, slots=True)
class Foreign:
    """TLS that cannot be captured as it is: `of` is its name in JSON, `title` in sentences."""

    of: str
    title: str
    file: re.Pattern[str]
    cure: str


def _foreign(of: str, title: str, names: str, cure: str = OTHER_END) -> Foreign:
    return Foreign(of, title, re.compile(rf"/(?:{names})[^/]*$"), cure)


FOREIGN = (
    _foreign(JAVA.name, JAVA.title, r"libjvm\.so", f"{JAVA.cure}, or {OTHER_END}"),
    _foreign("nss", "NSS", r"libssl3\.so"),
    _foreign("mbedtls", "Mbed TLS", r"libmbedtls\.so"),
    _foreign("wolfssl", "wolfSSL", r"libwolfssl\.so"),
    _foreign("s2n", "s2n-tls", r"libs2n\.so"),
    _foreign("rustls", "rustls", r"librustls"),
)
"""Matched with a process's executable mappings."""

MARKED: dict[str, tuple[str, str, str]] = {
    Mark.GO_TLS: (GO.name, f"{GO.title}, older than 1.18 or not for x86-64,", f"{GO.cure}, or {OTHER_END}"),
    Mark.NATIVE_IMAGE: (JAVA.name, f"{JAVA.title}, compiled ahead of time", OTHER_END),
    **{
        library.name: (
            library.name,
            f"{library.title}, linked in without symbols",
            f"{library.cure}, or {OTHER_END}",
        )
        for library in LIBRARIES
        if library.marks
    },
}
"""By the mark found in a file: name in JSON, title, cure."""


def foreign(maps: str) -> dict[Foreign, str]:
    """The libraries of FOREIGN among the executable mappings in /proc/PID/maps, with their paths."""
    found: dict[Foreign, str] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and "x" in fields[1]:
            path = fields[5].removesuffix(" (deleted)")
            for library in FOREIGN:
                if library.file.search(path):
                    found.setdefault(library, path)
    return found
