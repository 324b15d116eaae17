"""Reported exchanges: entries of HAR files, audit logs and telemetry.

They have no stream bytes, so they enter the pipeline after the parsers. An unreadable entry is also a result,
with its place in the file and a reason that quotes nothing.
"""

from __future__ import annotations

import hashlib

from agent.events import ConnectionKey
from agent.frozen import dataclass
from agent.http.messages import Exchange
from agent.wire import Endpoint


@dataclass(frozen=True, slots=True)
class Reported:
    """An exchange with the reported ends. Its times are wall-clock nanoseconds.

    `connection` is its identity: an entry gives the same record each time it is read. `side` is the end of
    the view: client, server or unknown. Without `timed` the entry states no time: its times say when the file
    was last changed, and nothing of the exchange.
    """

    exchange: Exchange
    connection: ConnectionKey
    side: str
    client: Endpoint | None = None
    server: Endpoint | None = None
    timed: bool = True


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """An entry that should be an exchange and cannot be read. `place` is, for example, "line 7"."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A readable entry that is no exchange of its own, and the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class CutShort:
    """The file ends before its content does; `place` is, for example, "after entry 7"."""

    place: str


Entry = Reported | UnreadableEntry | Skipped | CutShort


class EntryError(ValueError):
    """An entry cannot be read; the reason quotes nothing of it."""


class NotBase64(ValueError):
    """A body is not valid base64. The rest of the exchange is still usable."""


class FormatError(ValueError):
    """A file cannot be read at all; the message is a sentence."""


def identity(source: str, index: int, raw: bytes) -> ConnectionKey:
    """An identity from the entry's bytes and its index, so that equal entries of one file stay distinct."""
    digest = hashlib.blake2b(raw, digest_size=8).digest()
    return ConnectionKey(source, int.from_bytes(digest, "big"), index)
