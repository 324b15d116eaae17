"""Which format a file is in, told by its first bytes and never by its name."""

from __future__ import annotations

import re
from enum import StrEnum

from agent.sources import captures, recording

HEAD = 64 * 1024
"""Bytes that are looked at."""


class Format(StrEnum):
    """What `--format` takes."""

    RECORDING = "recording"
    CAPTURE = "pcap"
    HAR = "har"
    AUDIT = "audit"
    TELEMETRY = "telemetry"


_HAR = re.compile(rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*"(?:[^"\\]|\\.)*"\s*,)*\s*"log"\s*:\s*\{', re.DOTALL)
_AUDIT = re.compile(rb'"apiVersion"\s*:\s*"audit\.k8s\.io/|"auditID"\s*:\s*"')
_TELEMETRY = re.compile(
    rb'"(?:destinationAddress|sourceAddress|destinationNamespace)"\s*:\s*"|"TruncatedBody"'
)
_BOM = b"\xef\xbb\xbf"


def format_of(head: bytes) -> Format | None:
    """The format of a file that begins with `head`; None where it is none of them."""
    if head.startswith(recording.MAGIC):
        return Format.RECORDING
    if head.startswith(captures.MAGICS):
        return Format.CAPTURE
    if _HAR.match(head.removeprefix(_BOM)):
        return Format.HAR
    if _AUDIT.search(head):
        return Format.AUDIT
    return Format.TELEMETRY if _TELEMETRY.search(head) else None
