"""Reported exchanges, which somebody else saw and wrote down: entries of HAR, audit logs and telemetry.

No bytes of a stream are behind them, so they enter the pipeline after the parsers. What cannot be read is a
result, too, with its place in the file and a reason that quotes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from agent.events import ConnectionKey
from agent.http.messages import Exchange
from agent.wire import Endpoint


@dataclass(frozen=True, slots=True)
class Reported:
    """An exchange with what is reported of both ends. Its times are wall-clock nanoseconds.

    `connection` makes its identity: the same entry is the same record each time it is read. `side` is
    whose view it is: client, server or unknown.
    """

    exchange: Exchange
    connection: ConnectionKey
    side: str
    client: Endpoint | None = None
    server: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """Something that should be an exchange and cannot be read. `place` is such as "line 7"."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is read and is no exchange of its own, and why."""

    reason: str


Entry = Reported | UnreadableEntry | Skipped


class EntryError(ValueError):
    """One entry cannot be read; the reason quotes nothing of it."""


class NotBase64(ValueError):
    """A body is not what its encoding says. The rest of the exchange is as good as ever."""


class FormatError(ValueError):
    """A file cannot be read at all; the message is for people."""


def identity(source: str, index: int, raw: bytes) -> ConnectionKey:
    """By the entry's bytes and its place among the others: equal entries of one file stay two."""
    digest = hashlib.blake2b(raw, digest_size=8).digest()
    return ConnectionKey(source, int.from_bytes(digest, "big"), index)
