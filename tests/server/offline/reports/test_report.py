"""The counts of reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.analysis.specs.kinds import Severity, Verdict
from server.offline.reports import report as module
from server.offline.reports.failing import DEFAULT, failing
from tests.server.offline.reports.reported import reported


def test_calls_with_the_same_deviation_are_one_row_and_the_most_severe_come_first(tmp_path: Path) -> None:
    report, _ = reported(tmp_path, "/pets/a", "/old", "/pets/b", "/nowhere/17", "/nowhere/18")
    told = [(row.operation, row.rule, row.severity, row.calls, row.first) for row in report.rows()]
    assert told == [
        ("GET /nowhere/{id}", "unknown-path", Severity.HIGH, 2, 3),
        ("GET /pets/{id}", "type", Severity.MEDIUM, 2, 0),
        ("GET /old", "zombie", Severity.MEDIUM, 1, 1),
    ]
    assert report.calls["GET /pets/{id}"] == {Verdict.DEVIATING: 2}


def test_rows_beyond_the_bound_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    report, _ = reported(tmp_path, *(f"/place-{chr(97 + i)}" for i in range(8)))
    assert (len(report.rows()), report.unlisted) == (3, 5)


@pytest.mark.parametrize(
    ("said", "paths", "fails"),
    [
        ("shadow,deviating,zombie", ["/old"], True),
        ("shadow", ["/old", "/pets/a"], False),
        ("shadow", ["/nowhere"], True),
        ("zombie", ["/old"], True),
        ("severity=high", ["/pets/a"], False),
        ("severity=medium", ["/pets/a"], True),
        ("severity=low", ["/nowhere"], True),
        ("none", ["/nowhere", "/old"], False),
    ],
)
def test_a_report_fails_for_what_is_listed(tmp_path: Path, said: str, paths: list[str], fails: bool) -> None:
    report, _ = reported(tmp_path, *paths)
    assert report.has(failing(said)) is fails


def test_by_default_a_conforming_report_does_not_fail(tmp_path: Path) -> None:
    report, _ = reported(tmp_path, "/quiet")
    assert not report.has(DEFAULT)
