"""Lost rows of the tables that lead to a numbered row are found again by the number."""

from __future__ import annotations

from pathlib import Path

from agent.wire import Endpoint
from server.store.sqlite.store import SqliteStore
from server.store.values import Merge
from tests.server.records import NETNS, record
from tests.server.sql import sql


def test_the_key_of_a_merged_api_leads_on_though_it_is_no_longer_bound(tmp_path: Path) -> None:
    other = record(0, server=Endpoint("10.0.0.1", 9090, NETNS))
    store = SqliteStore(tmp_path)
    source, _ = store.write(lambda unit: unit.apis.resolve(other)).result()
    target, _ = store.write(lambda unit: unit.apis.resolve(record(0))).result()
    store.write(lambda unit: unit.merge(Merge(source, target))).result()
    sql(store, "DELETE FROM api_keys")
    store.close()
    store = SqliteStore(tmp_path)
    assert store.write(lambda unit: unit.apis.resolve(other)).result() == (target, None)
    assert sql(store, "SELECT state FROM api_keys") == [("learned",)]
    store.close()
