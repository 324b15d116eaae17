"""An exchange with its judgement, for reports: what they take from it is masked when they take it."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from agent.wire import Mask, Record
from server.analysis.inventory import host_of
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Judgement

PrintablePath = tuple[bytes, frozenset[int]]
"""A masked path as sent, and the indices of the segments that are masked."""


class MasksNames(Protocol):
    """What makes the names in unmasked exchanges printable."""

    def path(self, raw: bytes) -> PrintablePath:
        """The masked path."""
        ...

    def place(self, where: Where, place: str) -> str:
        """A masked name, or a JSON pointer of masked names, in a part of an exchange."""
        ...


def printable(record: Record, names: MasksNames) -> Record:
    """A record with a masked path, for reports that take no more of it than path and consumer."""
    if record.request is None:
        return record
    path, masked = names.path(record.request.path)
    masks = tuple([Mask(Where.PATH, str(index), "path") for index in masked])
    return replace(record, request=replace(record.request, path=path), masks=masks)


class JudgedCall:
    """Exchange number `i`, counted from 0 over all files; `judgement` is None without a specification."""

    __slots__ = ("_names", "_record", "i", "judgement")

    def __init__(self, i: int, record: Record, judgement: Judgement | None, names: MasksNames) -> None:
        self.i = i
        self.judgement = judgement
        self._record = record
        self._names = names

    @property
    def method(self) -> str | None:
        """None if the request was not seen, as is `path`."""
        return self._record.request.method if self._record.request else None

    @property
    def path(self) -> PrintablePath | None:
        return self._names.path(self._record.request.path) if self._record.request else None

    @property
    def host(self) -> str | None:
        return host_of(self._record)

    @property
    def status(self) -> int | None:
        return self._record.response.status if self._record.response else None
