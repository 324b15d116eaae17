"""Unreadable rows are left out, counted and logged once; all others are returned."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.wire import Endpoint
from server.analysis.specs.load import load
from server.store.rows import Listed
from server.store.sqlite.reading.readable import piece
from tests.server.records import record
from tests.server.running import Client, serving
from tests.server.sql import sql
from tests.server.ui.shop import filled

DAMAGE = (
    "UPDATE witnesses SET record = x'c1' WHERE number IN (SELECT max(number) FROM exchanges)",
    "UPDATE epochs SET ledger = '[1]'",
    "UPDATE specs SET warnings = '{'",
    "UPDATE apis SET kind = 'nonsense' WHERE name <> 'nginx:8080'",
    "UPDATE operations SET kind = 'nonsense' WHERE key = 'GET /carts'",
)


def damage(client: Client) -> None:
    for statement in DAMAGE:
        sql(client.core.store, statement)


def test_lists_go_on_without_what_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(tmp_path, load) as client:
        api = filled(client)
        client.send(record(0, "client", port=9999, server=Endpoint("10.0.0.9", 80), id="alone"))
        paths = ("/exchanges", "/apis", f"/apis/{api}/operations")
        before = {path: len(client.items(path)) for path in paths}
        damage(client)
        for path, count in before.items():
            assert len(client.items(path)) == count - 1, path
            assert len(client.items(path, limit=1)) == count - 1, path
        assert client.items("/specs") == []
        assert client.items("/agents") == []
        assert client.get("/ledger")["server"]["stored"] == 5
        assert client.http.get("/").status_code == 200
        metrics = client.http.get("/metrics").text
        assert 'spectap_server_unreadable_rows{what="records"}' in metrics
    said = [one.getMessage() for one in caplog.records if "cannot be read" in one.getMessage()]
    assert len(said) == len({one.split(" is ")[0] for one in said})
    assert all(one.levelno == logging.ERROR for one in caplog.records if one.getMessage() in said)


def test_a_piece_of_a_list_says_where_the_next_begins() -> None:
    pieces = [piece(range(n), 2, lambda one: (one, one)) for n in range(4)]
    assert pieces == [Listed([]), Listed([0]), Listed([0, 1]), Listed([0, 1], (1, 1))]
