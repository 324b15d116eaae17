"""Where in its file a specification describes what a deviation differs from."""

from __future__ import annotations

from collections.abc import Collection
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from server.analysis.specs.document.pointers import pointer
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Operation
from server.analysis.specs.specification import Specification
from server.offline.reports.lines import line_of, lines
from server.offline.reports.report import MatchReport, ReportRow

_PARTS = {
    Where.PATH: "parameters",
    Where.QUERY: "parameters",
    Where.HEADER: "parameters",
    Where.COOKIE: "parameters",
    Where.REQUEST_BODY: "requestBody",
    Where.STATUS: "responses",
    Where.SECURITY: "security",
}


class SpecReport(NamedTuple):
    """What was found by one specification."""

    report: MatchReport
    spec: SpecFile


class SpecFile:
    """The file of a specification, which locates an operation's parts in it. Raises OSError."""

    def __init__(self, path: Path, specification: Specification) -> None:
        self.path = path
        self._lines = lines(path.read_bytes().decode("utf-8-sig"))
        self._operations = {operation.key: operation for operation in specification.operations}

    @property
    def operations(self) -> Collection[str]:
        """The keys of the described operations."""
        return self._operations.keys()

    def line(self, row: ReportRow) -> int:
        """The line of what a deviation differs from; an undocumented call is at the list of paths, an
        undocumented method at its path.
        """
        operation = self._operations.get(row.operation) if row.described else None
        if operation is not None:
            return self.line_of(self._pointer(operation, row))
        template = self._template(row.operation) if row.rule == Kind.UNKNOWN_METHOD else None
        return self.line_of("/paths" if template is None else pointer(("paths", template)))

    def _template(self, call: str) -> str | None:
        """The described path that is a call's, whatever its parameters are named; the most literal one."""
        path = call.partition(" ")[2]
        alike = {one.template: _alike(one.key.partition(" ")[2], path) for one in self._operations.values()}
        best = max(alike, key=alike.__getitem__, default=None)
        return best if best is not None and alike[best] >= 0 else None

    def line_of(self, place: str) -> int:
        """The line of a place, or of the closest one above it that the file has itself."""
        return line_of(self._lines, place)

    def _pointer(self, operation: Operation, row: ReportRow) -> str:
        place = _place(operation)
        if row.where in (Where.RESPONSE_BODY, Where.RESPONSE_HEADER):
            answer = operation.answer(row.status) if row.status is not None else None
            return f"{place}/responses/{answer[0]}" if answer else f"{place}/responses"
        part = _PARTS.get(row.where) if row.where is not None else None
        return f"{place}/{part}" if part else place


def _alike(one: str, other: str) -> int:
    """How many segments of two paths are equal; -1 if one differs that is a parameter in neither."""
    pairs = list(zip_longest(one.split("/"), other.split("/"), fillvalue=""))
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    both = all(a and b and ("{" in a or "{" in b) for a, b in differ)
    return len(pairs) - len(differ) if both else -1


def _place(operation: Operation) -> str:
    return pointer(("paths", operation.template, operation.method.lower()))
