"""Attaching a program to places of a file, in one of two ways.

| way                         | since | detaching                    | open files            |
|-----------------------------|-------|------------------------------|-----------------------|
| one link for all its places | 6.6   | at once                      | one a program         |
| an event for each place     | 4.17  | waits 0.1 s for each of them | one a place           |

A kernel before 6.6 takes programs for links without a word and refuses the link, so it is asked by a link
that cannot be made.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Protocol

from agent.probes import bpf_call, perf_event

ENTRY, RETURN = 0, 1
PLACELESS = b"/"  # a folder has none


@dataclass(frozen=True, slots=True)
class Places:
    """Where to attach a program in a file: offsets of entries, or of functions at whose return it runs."""

    program: str
    kind: int
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """An open file that keeps a program attached to so many places; closing it detaches them."""

    descriptor: int
    places: int


class Way(Protocol):
    """How programs are attached: `attach_type` is what they must be loaded for, 0 for none in particular."""

    attach_type: int

    def attach(self, program: int, places: Places, file: IO[bytes]) -> Iterable[Probe]:
        """Attaches a program (its descriptor) to an open file; raises OSError."""
        ...


class ByLinks:
    """One link for all places."""

    attach_type = bpf_call.UPROBE_MULTI

    def attach(self, program: int, places: Places, file: IO[bytes]) -> Iterable[Probe]:
        link = bpf_call.attach_uprobes(program, path_of(file), places.offsets, places.kind == RETURN)
        yield Probe(link, len(places.offsets))


class ByEvents:
    """An event for each place."""

    attach_type = 0

    def attach(self, program: int, places: Places, file: IO[bytes]) -> Iterable[Probe]:
        for offset in places.offsets:
            at_return = places.kind == RETURN
            yield Probe(perf_event.attach_uprobe(path_of(file), offset, program, at_return=at_return), 1)


def way() -> Way:
    """The better way that this kernel knows."""
    return ByLinks() if has_links() else ByEvents()


def has_links() -> bool:
    """Whether this kernel attaches a program to many places by one link."""
    try:
        program = bpf_call.load_program(bpf_call.KPROBE, bpf_call.NOTHING, attach_type=bpf_call.UPROBE_MULTI)
    except OSError:
        return False
    try:
        os.close(bpf_call.attach_uprobes(program, PLACELESS, (0,), False))
    except OSError as error:
        return error.errno == errno.EBADF  # it knew what to look for
    finally:
        os.close(program)
    return False


def path_of(file: IO[bytes]) -> bytes:
    """A path of an open file that stays its own, whatever happens to its name."""
    return f"/proc/self/fd/{file.fileno()}".encode()
