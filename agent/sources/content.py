"""What a file holds, in any format: events for the whole pipeline, or entries for behind the parsers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import Event
from agent.sources.reported import Entry
from agent.streams.table import Limits


class File(Protocol):
    """How a format's reader sees a file."""

    def read(self, size: int, /) -> bytes: ...

    def read1(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Header:
    """Who made a recording, which its records name. `key_id` tells which fingerprint key was in use."""

    agent: str
    node: str
    cluster: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the file that a person should know."""

    text: str


@dataclass(frozen=True, slots=True)
class ReadPart:
    """An entry could be read; the events that it holds, if any, follow."""


Item = Event | Entry | ReadPart | Remark


@dataclass(frozen=True, slots=True)
class FileContent:
    """`items` in the file's order. `limits` are of the table of connections that its events need.

    `of_exchanges` says that each entry is an exchange, so that a broken one counts as one.
    """

    items: Iterator[Item]
    header: Header | None = None
    limits: Limits = field(default_factory=Limits)
    of_exchanges: bool = True
