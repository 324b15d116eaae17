"""The mirror of bpf/event.h: constants, and the layout of events in the ring.

A test compiles the header and compares every offset and number with this file.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple


class EventKind(IntEnum):
    OPENED = 1
    CHUNK = 2
    CLOSED = 3
    EXEC = 4
    EXIT = 5
    HELLO = 6


class EventSource(IntEnum):
    """The source of an event; TLS libraries have the numbers of their rows (agent/probes/tls.py)."""

    SOCKET = 0


class EventDirection(IntEnum):
    SENT = 0
    RECEIVED = 1


class EventRole(IntEnum):
    UNKNOWN = 0
    CLIENT = 1
    SERVER = 2


class Counter(IntEnum):
    SEEN = 0
    TABLE_FULL = 1
    RING_FULL = 2
    RING_FULL_EVENTS = 3
    UNIX_SOCKET = 4
    NOT_TCP = 5
    FILTERED = 6
    TLS_CIPHERTEXT = 7
    NOT_HTTP = 8
    TABLE_FULL_CALLS = 9
    OPAQUE = 10
    SAMPLED_OUT = 11


class Setting(IntEnum):
    DISABLED = 0
    OWN_NETNS = 1
    OWN_PORT = 2
    ONLY_PORTS = 3
    ONLY_PROCESSES = 4
    BODY_CAP = 5
    CGROUPS = 6
    ONLY_CGROUPS = 7
    PORTS = 8
    SAMPLE = 9
    POD_LEVELS = 10
    ONLY_PODS = 11


class RawEvent(NamedTuple):
    """struct event, field by field; see bpf/event.h for what each means."""

    time_ns: int
    address: int
    generation: int
    position: int
    length: int
    captured: int
    tgid: int
    netns: int
    local_port: int
    peer_port: int
    kind: int
    source: int
    direction: int
    role: int
    from_start: int
    family: int
    capped: int
    local: bytes
    peer: bytes
    comm: bytes


LAYOUT = struct.Struct("<QQQQIIIIHHBBBBBBB5x16s16s16s")
"""struct event as `struct` reads it; the captured bytes follow."""


def parse(raw: bytes) -> tuple[RawEvent, bytes]:
    """The event and its payload. Raises struct.error if `raw` is shorter than an event."""
    event = RawEvent._make(LAYOUT.unpack_from(raw))
    return event, raw[LAYOUT.size : LAYOUT.size + event.captured]
