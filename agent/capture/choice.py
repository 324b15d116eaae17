"""Chooses the backend by trying: the first of BACKENDS that works here, or the one that `--backend` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.capture import packets
from agent.capture.packets import PacketSource
from agent.events import Address
from agent.probes import backend
from agent.probes.btf import BtfError
from agent.probes.kernel import CaptureFilters, KernelSource, SourceError
from agent.probes.programs import ProgramError, Sizes
from agent.probes.source import LiveSource


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source is to capture. `server` holds the analysis server's addresses."""

    filters: CaptureFilters
    sizes: Sizes
    cache: Path | None
    server: frozenset[Address] = frozenset()


Open = Callable[[Wanted], LiveSource]
"""Opens a source, attached to sockets and disabled. Raises SourceError, ProgramError or BtfError."""


def _programs(row: backend.Backend) -> Open:
    return lambda wanted: KernelSource(wanted.filters, wanted.sizes, wanted.cache, row)


def _packets(wanted: Wanted) -> LiveSource:
    return PacketSource(wanted.filters, wanted.sizes.ring_bytes, wanted.server)


BACKENDS: Mapping[str, Open] = {
    **{row.name: _programs(row) for row in backend.BACKENDS},
    packets.NAME: _packets,
}
"""In order of what they capture, the most first."""


def open_source(wanted: Wanted, only: str | None = None, rows: Mapping[str, Open] = BACKENDS) -> LiveSource:
    """A source of the first backend that works, or of the one named `only`; it knows why others were refused.

    Raises SourceError with every reason if none works.
    """
    refused: dict[str, str] = {}
    for name, opened in rows.items():
        if only not in (None, name):
            continue
        try:
            source = opened(wanted)
        except (SourceError, ProgramError, BtfError) as error:
            refused[name] = str(error)
            continue
        source.watching.refused = refused
        return source
    if only is not None:
        raise SourceError(f"--backend {only} does not work here: {refused[only]}")
    reasons = {why: [name for name in refused if refused[name] == why] for why in refused.values()}
    raise SourceError(". ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items()))
