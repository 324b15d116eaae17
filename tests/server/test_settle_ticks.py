"""Waiting views are settled even if nothing else happens."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from server.settle_ticks import RETRY_S, TICK_S
from server.store.errors import StoreUnavailable
from tests.server.records import record
from tests.server.running import Client, serving, wait_for


def now(number: int) -> int:
    """The start of a call that is captured live."""
    return time.time_ns() + number


def test_a_view_that_stays_alone_is_shown_though_no_batch_follows(client: Client) -> None:
    client.deliver(record(0, start=now(0)))
    assert client.items("/exchanges") == []
    wait_for(lambda: client.items("/exchanges"), "exchange")
    assert client.core.acceptor.held == 0


def test_where_nothing_waits_nothing_is_written(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.core.settling.stop()
    monkeypatch.setattr(client.core.store, "write", None)
    client.core.settling._turn(set())


def test_a_store_that_takes_nothing_is_not_asked_at_every_tick(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = client.core.settling
    ticks.stop()
    client.deliver(record(0))

    def refuse(work: object) -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patch:
        patch.setattr(client.core.store, "write", refuse)
        with pytest.raises(StoreUnavailable):
            ticks._turn(set())
    assert ticks.thread.period == RETRY_S
    ticks._turn(set())
    assert ticks.thread.period == TICK_S


def test_what_waits_when_the_server_stops_is_shown_after_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.core.settling.stop()
        client.deliver(record(0, start=now(0)))
    with serving(tmp_path) as client:
        wait_for(lambda: client.items("/exchanges"), "exchange")
