"""Query conditions: filters become SQL with placeholders, never with a value in its text.

Each list has a table of what its fields are tested by: a template whose braces take the test of a value, such
as `= ?`, `IN (?, ?)`, `GLOB ?` or `BETWEEN ? AND ?`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from server.analysis.specs.judging.fault import fault_of
from server.analysis.specs.kinds import KINDS, Kind, Where, severity_of
from server.store.filters import FieldFilter, FilterField, Filters, FilterValue, Like, Within
from server.store.sqlite.reading.ids import api_number

Value = int | str | bytes
Clause = tuple[str, Sequence[Value]]
FieldTest = Callable[[Sequence[FilterValue]], Clause]
FieldTests = Mapping[FilterField, FieldTest]

LOWEST, HIGHEST = -(2**63), 2**63 - 1
ESCAPED = re.compile(r"\\(?P<escaped>.)|(?P<special>[\[*?])", re.DOTALL)


class Conditions:
    """Conditions with their values, joined by AND. A condition is left out if one of its values is None."""

    def __init__(self) -> None:
        self._conditions = ["1"]
        self.values: list[Value] = []

    def add(self, condition: str, *values: Value | bool | None) -> None:
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            self._conditions.append(condition)
            self.values.extend(known)

    def add_fields(self, db: sqlite3.Connection, filters: Filters, tests: FieldTests) -> None:
        """Adds the filters' fields, by a list's tests."""
        for one in filters.fields:
            condition, values = tests[one.field](_known(db, one).values)
            self.add(f"NOT coalesce({condition}, 0)" if one.negated else condition, *values)

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def _known(db: sqlite3.Connection, one: FieldFilter) -> FieldFilter:
    """A filter by APIs, with numbers in place of ids, also of earlier ones; other texts are names."""
    if one.field is not FilterField.API:
        return one
    found = ((api_number(db, value) if isinstance(value, str) else None, value) for value in one.values)
    return replace(one, values=tuple(value if number is None else number for number, value in found))


def tested(template: str) -> FieldTest:
    """Tests one value of SQL: `template` has braces behind it."""

    def test(values: Sequence[FilterValue]) -> Clause:
        tests = [*_tests(values)]
        return _any((template.format(sql), found) for sql, found in tests)

    return test


def by_number(numbers: FieldTest, texts: FieldTest) -> FieldTest:
    """Tests numbers and texts in ways of their own."""

    def test(values: Sequence[FilterValue]) -> Clause:
        some = [value for value in values if isinstance(value, int)]
        others = [value for value in values if not isinstance(value, int)]
        return _any(way(found) for way, found in ((numbers, some), (texts, others)) if found)

    return test


def in_lines(column: str) -> FieldTest:
    """Tests a column with one name on each line, before and after which a line ends."""
    names = rf"""'[' || replace(json_quote(trim({column}, char(10))), '\n', '","') || ']'"""
    each = f"json_each(iif(json_valid({names}), {names}, '[]'))"
    like = tested(f"EXISTS (SELECT 1 FROM {each} WHERE value {{}})")

    def test(values: Sequence[FilterValue]) -> Clause:
        exact = [value for value in values if isinstance(value, str)]
        others = [value for value in values if not isinstance(value, str)]
        found: list[Clause] = [(f"instr({column}, char(10) || ? || char(10))", [one]) for one in exact]
        return _any([*found, like(others)] if others else found)

    return test


def beginning(column: str) -> FieldTest:
    """Tests the beginning of a text or of bytes."""

    def test(values: Sequence[FilterValue]) -> Clause:
        wanted = [value for value in values if isinstance(value, str)]
        return _any((f"substr({column}, 1, length(?)) = ?", [one, one]) for one in wanted)

    return test


def containing(*columns: str) -> FieldTest:
    """Tests whether one of several texts contains another one; ASCII letters are alike in both cases."""
    condition = " OR ".join(rf"{column} LIKE ? ESCAPE '\'" for column in columns)

    def test(values: Sequence[FilterValue]) -> Clause:
        wanted = [re.sub(r"([\\%_])", r"\\\1", value) for value in values if isinstance(value, str)]
        return _any((f"({condition})", [f"%{one}%"] * len(columns)) for one in wanted)

    return test


def severity_pairs(values: Sequence[FilterValue]) -> Sequence[str]:
    """The deviations of these severities: each kind with the part of an exchange where it has one."""
    return _pairs(severity_of, values)


def fault_pairs(values: Sequence[FilterValue]) -> Sequence[str]:
    """The deviations of these faults."""
    return _pairs(fault_of, values)


def _pairs(property_of: Callable[[Kind, Where], object], values: Sequence[FilterValue]) -> Sequence[str]:
    return [f"{kind} {where}" for kind in KINDS for where in Where if property_of(kind, where) in values]


def translated(
    translate: Callable[[Sequence[FilterValue]], Sequence[FilterValue]], test: FieldTest
) -> FieldTest:
    """Tests what `translate` makes of the values."""
    return lambda values: test(translate(values))


def _tests(values: Sequence[FilterValue]) -> Iterator[Clause]:
    exact = [value for value in values if isinstance(value, int | str)]
    if len(exact) == 1:
        yield "= ?", exact
    elif exact:
        yield f"IN ({', '.join('?' * len(exact))})", exact
    for value in values:
        if isinstance(value, Like):
            yield "GLOB ?", [_glob(value.pattern)]
        elif isinstance(value, Within):
            low = LOWEST if value.low is None else value.low
            yield "BETWEEN ? AND ?", [low, HIGHEST if value.high is None else value.high]


def _glob(pattern: str) -> str:
    """SQLite's form of a pattern: it takes characters as they are in brackets."""

    def as_glob(found: re.Match[str]) -> str:
        if found["escaped"] is None:
            return "[[]" if found["special"] == "[" else found[0]
        return f"[{found['escaped']}]" if found["escaped"] in "[*?" else found["escaped"]

    return ESCAPED.sub(as_glob, pattern)


def _any(clauses: Iterator[Clause] | Sequence[Clause]) -> Clause:
    found: list[Clause] = [*clauses]
    if len(found) == 1:
        return found[0]
    return f"({' OR '.join(sql for sql, _ in found) or '0'})", [one for _, some in found for one in some]


def status_of(stored: int) -> int | None:
    """The stored form of a status: 0 for calls without a response."""
    return stored or None


def class_of(hundreds: int) -> str:
    """The class of a status by its stored form divided by 100."""
    return f"{hundreds}xx" if hundreds else "none"
