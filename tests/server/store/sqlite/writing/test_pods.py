"""Known pods are bounded."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from agent.wire import Resident, Residents
from server.store.sqlite.store import SqliteStore
from server.store.sqlite.writing import pods
from server.store.unit import Unit
from tests.server.records import NOON


def test_addresses_are_bounded_and_a_known_one_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "MAX_PODS", 2)
    store = SqliteStore(tmp_path)
    many = tuple(Resident((f"10.1.0.{n}",), f"pod-{n}", "shop") for n in range(3))
    others = (Resident(("10.1.0.0",), "next", "shop"), *many[1:])
    for found in (many, others):
        store.write(partial(_record, Residents(None, "n", found))).result(60)
    known = store.begin(lambda unit: [unit.pods.at(None, f"10.1.0.{n}") for n in range(3)])
    assert known == [others[0], many[1], None]
    store.close()


def _record(residents: Residents, unit: Unit) -> None:
    unit.pods.record(residents, NOON)
