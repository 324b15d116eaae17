"""Where everything went: each byte and each exchange is counted once, under a name, where it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Bytes(StrEnum):
    """Stream bytes between kernel and parser. Each that was seen is in exactly one of the others."""

    SEEN = "seen"  # passed a call that was watched; of TLS once in the library and once at the socket
    PARSED = "parsed"  # part of an HTTP message or frame
    NOT_HTTP = "not_http"  # the connection speaks something else
    TLS_CIPHERTEXT = "tls_ciphertext"  # seen in plaintext above, or not at all
    UNIX_SOCKET = "unix_socket"  # AF_UNIX is filtered
    NOT_TCP = "not_tcp"  # UDP and other sockets
    FILTERED = "filtered"  # excluded by port, process, or as our own
    LATE = "late"  # came when their hole had been stated already, or came twice
    UNCAPTURED = "uncaptured"  # length known, content not copied (sendfile, a call of too many buffers)
    CAPPED = "capped"  # the part of a body beyond the cap, which the kernel did not copy
    RING_FULL = "ring_full"  # the kernel could not hand it over
    UNSYNCED = "unsynced"  # before the first message boundary of a late join, or after a hole
    OPAQUE = "opaque"  # after an upgrade or CONNECT
    UNREAD_AT_EXIT = "unread_at_exit"  # captured, and not parsed in the time that stopping may take
    TABLE_FULL = "table_full"  # no room for the connection, in the kernel or here


class Exchanges(StrEnum):
    """Exchanges between parser and store. Each that was parsed is in exactly one of the others."""

    UNREADABLE = "unreadable"  # told of by a file or a gateway, in a form that cannot be read
    PARSED = "parsed"
    IN_FLIGHT = "in_flight"  # in memory, in the spool or being sent: the only count that goes down
    SHIPPED = "shipped"  # acknowledged by the server
    REDACTION_FAILED = "redaction_failed"
    QUEUE_FULL = "queue_full"  # the oldest dropped: the server was away for too long
    SPOOL_FULL = "spool_full"  # the same, on disk
    SPOOL_EXPIRED = "spool_expired"  # too old, on disk
    SPOOL_UNREADABLE = "spool_unreadable"  # the disk did not give back what was written
    REFUSED = "refused"  # the server would not take the record
    UNSENT_AT_EXIT = "unsent_at_exit"  # the agent stopped first


class Kernel(StrEnum):
    """What the kernel side could not deliver."""

    RING_FULL = "ring_full_events"
    TABLE_FULL = "kernel_table_full"  # calls, of whose bytes nothing is known
    UNACCOUNTED = "unaccounted_bytes"  # seen there and in no bucket: a defect


class Stops(StrEnum):
    """How an epoch ended, if not well: entered by the agent's next start, from the spool."""

    KILLED = "killed"
    BLIND_MS = (
        "blind_ms"  # from the epoch's last entry until that next start watches; not a count of anything
    )


class Ledger:
    """Counts by bucket. Not thread-safe: one writer each, merged by the reader."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.exchanges: Counter[str] = Counter()
        self.kernel: Counter[str] = Counter()

    def as_map(self) -> dict[str, dict[str, int]]:
        """The counts for the batch and the status page."""
        return {
            "bytes": dict(self.bytes),
            "exchanges": dict(self.exchanges),
            "kernel": dict(self.kernel),
        }


def merged(*views: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The sum of several writers' counts."""
    total: dict[str, dict[str, int]] = {}
    for view in views:
        for name, counts in view.items():
            into = total.setdefault(name, {})
            for bucket, count in counts.items():
                into[bucket] = into.get(bucket, 0) + count
    return total
