"""Filters in user space decide as those in the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.probes import cgroups
from agent.probes.kernel import CaptureFilters
from agent.probes.selection import ProcessSelection

PID = os.getpid()
NAME = Path("/proc/self/comm").read_text().strip()
OTHER = 1


@pytest.mark.parametrize(
    ("filters", "captured"),
    [
        (CaptureFilters(), True),
        (CaptureFilters(except_pids=frozenset({PID})), False),
        (CaptureFilters(only_pids=frozenset({PID})), True),
        (CaptureFilters(only_pids=frozenset({OTHER})), False),
        (CaptureFilters(only_names=frozenset({NAME})), True),
        (CaptureFilters(only_names=frozenset({"another"})), False),
        (CaptureFilters(only_pids=frozenset({OTHER}), only_names=frozenset({NAME})), True),
        (CaptureFilters(only_pids=frozenset({PID}), except_pids=frozenset({PID})), False),
    ],
)
def test_pids_and_names_select(filters: CaptureFilters, captured: bool) -> None:
    assert ProcessSelection(filters).captures(PID) == captured


@pytest.mark.parametrize(
    ("only", "excluded", "captured"),
    [((7,), (), True), ((8,), (), False), ((), (7,), False), ((), (8,), True), ((7,), (9,), False)],
)
def test_a_cgroup_selects_its_processes_and_those_below(
    monkeypatch: pytest.MonkeyPatch, only: tuple[int, ...], excluded: tuple[int, ...], captured: bool
) -> None:
    def find_all(_only: Iterable[str], _excluded: Iterable[str]) -> list[tuple[cgroups.Cgroup, bool]]:
        return [(cgroups.Cgroup(one, 1), one in excluded) for one in (*only, *excluded)]

    monkeypatch.setattr(cgroups, "find_all", find_all)
    monkeypatch.setattr(cgroups, "ids_of", lambda _text: {7, 9, 1})
    assert ProcessSelection(CaptureFilters()).captures(PID) == captured
