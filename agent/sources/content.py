"""A file's content in any format: events for the whole pipeline, or entries that enter after the parsers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import Event
from agent.sources.reported import Entry
from agent.streams.table import Limits


class File(Protocol):
    """A file, for the readers of formats."""

    def read(self, size: int, /) -> bytes: ...

    def read1(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Header:
    """A recording's origin, used in its records. `key_id` identifies the fingerprint key in use."""

    agent: str
    node: str
    cluster: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on the file, for the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class ReadPart:
    """An entry was read; its events, if any, follow."""


Item = Event | Entry | ReadPart | Remark


@dataclass(frozen=True, slots=True)
class FileContent:
    """`items` in the file's order. `limits` are for the connection table that reads its events.

    `of_exchanges`: each entry is an exchange, so an unreadable one counts as one.
    """

    items: Iterator[Item]
    header: Header | None = None
    limits: Limits = field(default_factory=Limits)
    of_exchanges: bool = True
