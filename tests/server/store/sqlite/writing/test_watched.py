from __future__ import annotations

from pathlib import Path

import pytest

from server.store.sqlite.store import SqliteStore
from server.store.values import DAY_NS
from tests.server.records import NOON


def test_where_too_many_addresses_are_watched_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.sqlite.writing.watched.MAX_WATCHED", 2)
    store = SqliteStore(tmp_path)

    def see(address: str) -> None:
        store.write(lambda unit: unit.watched.record(address, NOON)).result()

    def has(address: str) -> bool:
        return store.write(lambda unit: unit.watched.may_have(address)).result()

    see("a")
    assert not has("b")
    for address in "bcd":
        see(address)
    assert all(map(has, "abcde"))
    store.close()
    store = SqliteStore(tmp_path)
    assert has("e")
    store.write(lambda unit: unit.watched.expire(NOON + 9 * DAY_NS)).result()
    assert not has("a")
    store.close()
