"""The ledger: each byte and each exchange is counted once, in the bucket of what became of it. Which buckets
are losses is part of the contract with the server: `LOSSES` in agent/wire/balance.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Bytes(StrEnum):
    """Stream bytes, from the kernel to the parser. Each byte of SEEN is in exactly one other bucket."""

    SEEN = "seen"  # passed a captured call; TLS counts twice: in the library and at the socket
    PARSED = "parsed"  # part of an HTTP message or frame
    NOT_HTTP = "not_http"  # the connection has another protocol
    TLS_CIPHERTEXT = "tls_ciphertext"  # at the socket: captured in the TLS library, or not at all
    UNIX_SOCKET = "unix_socket"  # went over a Unix socket (AF_UNIX)
    NOT_TCP = "not_tcp"  # went over UDP or another kind of socket
    FILTERED = "filtered"  # excluded by port, process or cgroup, or the agent's own
    LATE = "late"  # arrived after their gap was reported, or twice
    UNCAPTURED = "uncaptured"  # counted but not copied (sendfile, a call with too many buffers)
    CAPPED = "capped"  # the part of a body beyond the cap, not copied in the kernel
    STEPPED_DOWN = "stepped_down"  # the part of a body that was not copied as the agent could not keep up
    SAMPLED_OUT = "sampled_out"  # of a connection that was left out as the agent could not keep up
    RING_FULL = "ring_full"  # found no room in the ring
    UNSYNCED = "unsynced"  # before the first message boundary of a late join, or after a gap
    OPAQUE = "opaque"  # after an upgrade, or in a tunnel without TLS
    UNREAD_AT_EXIT = "unread_at_exit"  # captured, but not parsed before the agent had to stop
    TABLE_FULL = "table_full"  # the connection found no room in a table, or was evicted from it


class Exchanges(StrEnum):
    """Exchanges, from the parser to the server. Each exchange of PARSED is in exactly one other bucket."""

    UNREADABLE = "unreadable"  # reported by a file or a gateway in an unreadable form
    PARSED = "parsed"
    IN_FLIGHT = "in_flight"  # in memory, in the spool or being sent; the only count that decreases
    SHIPPED = "shipped"  # acknowledged by the server
    OPTED_OUT = "opted_out"  # of a pod that is not to be captured, from before the kernel left it out
    REDACTION_FAILED = "redaction_failed"  # could not be redacted, and dropped
    PACKING_FAILED = "packing_failed"  # the record could not be packed, and was dropped
    QUEUE_FULL = "queue_full"  # dropped as the oldest in memory: the server was away, or the disk too slow
    SPOOL_FULL = "spool_full"  # dropped as the oldest on disk: the server was away for too long
    SPOOL_EXPIRED = "spool_expired"  # waited on disk for too long
    SPOOL_UNREADABLE = "spool_unreadable"  # written to disk and could not be read back
    REFUSED = "refused"  # the server refused the record
    UNSENT_AT_EXIT = "unsent_at_exit"  # only in memory when the agent stopped


class Kernel(StrEnum):
    """What the kernel could not deliver."""

    RING_FULL = "ring_full_events"  # events, or packets, that found no room in the ring
    UNREADABLE_PACKETS = "unreadable_packets"  # captured packets with broken headers
    TABLE_FULL = "kernel_table_full"  # calls without room in a kernel map, or that gave way: of unknown bytes
    TLS_BEFORE_PROBES = "tls_bytes_before_probes"  # TLS on the wire before a program's library was probed
    CONNECTIONS_BEFORE_PROBES = "tls_connections_before_probes"  # the connections of these bytes
    UNACCOUNTED = "unaccounted_bytes"  # bytes counted in the kernel that are in no bucket: a defect


class Stops(StrEnum):
    """What was not captured between two starts, and whether the first was killed, as the spool shows it."""

    KILLED = "killed"  # 1: this start wrote no final ledger; its successor enters it
    SPOOL_DAMAGED = "spool_damaged"  # 1: this start found a damaged spool and no receipt of what it held
    BLIND_MS = "blind_ms"  # until this start captured, since the one before ended; if killed, also after it


class Steps(StrEnum):
    """How often and for how long less was captured, since the agent could not keep up (agent/ladder.py)."""

    TO_HEADS = "to_heads"  # steps down: bodies are left out
    TO_SAMPLE = "to_sample"  # steps down: fewer connections are captured
    BACK = "back"  # steps up
    HEADS_MS = "heads_ms"  # time without bodies
    SAMPLED_MS = "sampled_ms"  # time in which a sample of the connections was captured
    BODIES_LEFT_OUT = "bodies_left_out"  # exchanges whose bodies were left out


class Attribution(StrEnum):
    """What could not be attributed to a pod."""

    UNKNOWN = "unknown_pod"  # exchanges shipped without their pod: the Kubernetes API had not described it


class PartlySeen(StrEnum):
    """Connections of which something is missing."""

    OLDER = "older"  # had begun before capture: read from their next message on


HOW_OLDER_ARE_READ = (
    "from their next message on, and of HTTP/2 without header fields that were sent before; what is "
    "restarted connects anew"
)
"""The end of a sentence on such connections."""


class Ledger:
    """Counts by bucket. Not thread-safe: each writer has its own, and readers merge them."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.exchanges: Counter[str] = Counter()
        self.kernel: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.pods: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()

    def as_map(self) -> dict[str, dict[str, int]]:
        """The counts for the batch and the status page."""
        counts = {
            "bytes": dict(self.bytes),
            "exchanges": dict(self.exchanges),
            "kernel": dict(self.kernel),
        }
        rare = {
            "stops": dict(self.stops),
            "steps": dict(self.steps),
            "pods": dict(self.pods),
            "connections": dict(self.connections),
        }
        return counts | {part: found for part, found in rare.items() if found}


def merged(*views: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The sum of several writers' counts."""
    total: dict[str, dict[str, int]] = {}
    for view in views:
        for name, counts in view.items():
            into = total.setdefault(name, {})
            for bucket, count in counts.items():
                into[bucket] = into.get(bucket, 0) + count
    return total
