"""The readable file formats, one row each, recognised by a file's first bytes and never by its name.

A new format is a module with `recognises` and `content`, and a row here. Rows are tried in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agent.sources import audit, har, logs, pcap, recording, telemetry
from agent.sources.content import File, FileContent

HEAD = 64 * 1024
"""Bytes of a file by which its format is recognised."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """`recognises` takes a file's first bytes; `content` the file, its name for messages, and the time, in ns
    since the epoch, of exchanges that state none.
    """

    recognises: Callable[[bytes], bool]
    content: Callable[[File, str, int], FileContent]


FORMATS: dict[str, FileFormat] = {
    "recording": FileFormat(recording.recognises, recording.content),
    "pcap": FileFormat(pcap.recognises, pcap.content),
    "har": FileFormat(har.recognises, har.content),
    "audit": FileFormat(audit.recognises, audit.content),
    "telemetry": FileFormat(telemetry.recognises, telemetry.content),
    **{name: FileFormat(partial(logs.recognises, name), partial(logs.content, name)) for name in logs.LOGS},
}
"""The formats by their names for `--format`."""


def recognised(head: bytes) -> FileFormat | None:
    """The format of a file that begins with `head`; None if unknown."""
    return next((one for one in FORMATS.values() if one.recognises(head)), None)
