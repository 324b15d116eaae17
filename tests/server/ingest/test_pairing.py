"""Each call counts once, whenever its views arrive and whatever stops in between."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.ingest import holding, pairing
from server.ingest.counting import Counting
from server.ingest.holding import BACKLOG_S, LIVE_S, SettledBy
from server.ingest.outcomes import Received
from server.store.draft import ExchangeDraft
from server.store.filters import Filters
from server.store.sqlite.writing import lone_views
from server.store.unit import Unit
from tests.server.ingesting import Ingest, S
from tests.server.records import NOON, record
from tests.server.sql import database


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    one = Ingest(tmp_path / "data")
    yield one
    one.store.close()


CLIENT, SERVER, VIRTUAL, PUBLIC = "10.0.0.1", "10.0.0.2", "10.96.0.1", "9.9.9.9"


def seen(number: int, side: str, at: float = 0.0, server: str = SERVER, **options: Any) -> Record:
    """A view of a call between two nodes that began at a time (s since NOON)."""
    ends: dict[str, Any] = {"client": Endpoint(CLIENT, 40_000 + number), "server": Endpoint(server, 8080)}
    ends |= options
    node: dict[str, Any] = {"node": f"node-{side}", "agent": side}
    return record(0, side, port=40_000 + number, start=NOON + int(at * S), **ends, **node)


def test_what_is_not_settled_is_neither_counted_nor_shown_and_then_counted_once(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "take_back", None)
    one, other = seen(1, "client"), seen(2, "server")
    assert ingest.deliver("client", one)[Received.STORED] == 1
    assert ingest.deliver("server", other)[Received.STORED] == 1
    assert (ingest.views(), ingest.counts()["calls"], ingest.acceptor.held) == ([], [], 2)
    assert ingest.deliver("server", seen(1, "server"))[Received.WITNESS] == 1
    assert ingest.views() == [[one.id, seen(1, "server").id]]
    ingest.wait(LIVE_S)
    assert ingest.views() == [[one.id, seen(1, "server").id], [other.id]]
    assert (ingest.acceptor.held, ingest.rows("held")) == (0, 0)
    assert {why: ingest.acceptor.totals[why] for why in SettledBy} == {
        **dict.fromkeys(SettledBy, 0),
        SettledBy.PAIRED: 1,
        SettledBy.TIME: 1,
    }


def test_halves_in_one_batch_are_never_held(ingest: Ingest) -> None:
    ingest.deliver("both", seen(1, "client"), seen(1, "server"))
    assert (len(ingest.views()), ingest.acceptor.held) == (1, 0)


def test_a_view_that_cannot_be_paired_is_settled_at_once(ingest: Ingest) -> None:
    ingest.deliver("a", record(1, client=None), record(2, request=None))
    assert (len(ingest.views()), ingest.acceptor.held) == (2, 0)
    assert ingest.acceptor.totals[SettledBy.AT_ONCE] == 2


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_held_waits_on_after_a_restart(ingest: Ingest, tmp_path: Path, killed: bool) -> None:
    ingest.deliver("client", seen(1, "client"), seen(2, "client"))
    data = tmp_path / "data"
    if killed:  # the current content of the disk
        data = shutil.copytree(data, tmp_path / "copy")
        (data / "spectap.lock").unlink()
    else:
        ingest.store.close()
    again = Ingest(data)
    assert again.acceptor.held == 2
    assert again.deliver("again", seen(2, "client"))[Received.DUPLICATE] == 1
    again.deliver("server", seen(1, "server"))
    assert again.views() == [[seen(1, "client").id, seen(1, "server").id]]
    again.wait(LIVE_S)
    assert len(again.views()) == 2
    again.store.close()


def test_after_a_restart_a_backlog_waits_for_the_agents_of_before(ingest: Ingest, tmp_path: Path) -> None:
    ingest.deliver("client", seen(1, "client"))
    ingest.deliver("server", seen(2, "server"))
    ingest.store.close()
    again = Ingest(tmp_path / "data")
    again.seqs = ingest.seqs
    again.wait(600)
    again.deliver("client", seen(5, "client", 100), seen(6, "client", 599))
    again.wait(BACKLOG_S - 1)
    again.deliver("server", seen(5, "server", 100))
    assert [seen(5, "client").id, seen(5, "server").id] in again.views()
    assert again.acceptor.totals[SettledBy.LATE] == 0
    again.store.close()


def test_work_that_is_undone_leaves_held_what_was_held(ingest: Ingest) -> None:
    ingest.deliver("client", seen(1, "client"), seen(2, "client"))
    lost = ingest.batch("server", seen(1, "server"), seen(3, "server"))

    def fail(unit: Unit) -> None:
        ingest.acceptor.accept(lost, ingest.now, ingest.at)
        ingest.acceptor.settle_due(ingest.now, ingest.at + LIVE_S)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ingest.do(fail)
    assert (ingest.acceptor.held, ingest.views(), sum(ingest.acceptor.totals.values())) == (2, [], 0)
    ingest.do(lambda unit: ingest.acceptor.accept(lost, ingest.now, ingest.at))
    assert ingest.views() == [[seen(1, "client").id, seen(1, "server").id]]
    ingest.wait(LIVE_S)
    assert [len(views) for views in ingest.views()] == [2, 1, 1]
    assert ingest.acceptor.totals[SettledBy.PAIRED] == 1


def test_of_work_that_fails_half_way_nothing_is_written_later(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(exchange: ExchangeDraft, record: Record, number: int) -> None:
        raise ZeroDivisionError

    ingest.deliver("client", seen(1, "client"))
    ingest.wait(LIVE_S)
    monkeypatch.setattr(ingest.acceptor.settling, "add_view", fail)
    with pytest.raises(ZeroDivisionError):
        ingest.deliver("server", seen(2, "server", client=None), seen(1, "server"))
    ingest.deliver("server", seen(3, "server", client=None))
    assert ingest.views() == [[seen(1, "client").id], [seen(3, "server").id]]


def test_an_exchange_began_when_its_first_view_says_whichever_that_is(ingest: Ingest) -> None:
    ingest.deliver("both", seen(1, "client"), seen(1, "server", -0.05))
    ingest.deliver("both", seen(2, "server"), seen(2, "client", -0.05))
    with ingest.store.reading() as reader:
        rows = reader.exchanges.listed(Filters(), 9, None).rows
    assert [row.time for row in rows] == [min(view.time for view in row.views) for row in rows]


def test_records_that_memory_has_no_room_for_are_read_from_the_store(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "MAX_RECORDS", 0)
    ingest.deliver("client", seen(1, "client"), seen(2, "client"))
    ingest.deliver("server", seen(1, "server"))
    ingest.wait(LIVE_S)
    assert [len(views) for views in ingest.views()] == [2, 1]


def test_a_held_view_that_cannot_be_read_holds_up_nothing(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "MAX_RECORDS", 0)
    ingest.deliver("client", seen(1, "client"), seen(2, "client"), seen(3, "client"))
    db, ids = database(ingest.store), [seen(1, "client").id, seen(2, "client").id]
    ingest.do(lambda unit: db.execute("UPDATE witnesses SET record = x'c1' WHERE id IN (?, ?)", ids))
    ingest.deliver("server", seen(1, "server"))
    ingest.wait(LIVE_S)
    assert ingest.views() == [[seen(3, "client").id], [seen(1, "server").id]]
    assert ingest.rows("held") == 0


def test_a_held_view_that_cannot_be_read_after_a_restart_is_held_no_more(
    ingest: Ingest, tmp_path: Path
) -> None:
    ingest.deliver("client", seen(1, "client"), seen(2, "client"))
    db, lost = database(ingest.store), seen(1, "client").id
    ingest.do(lambda unit: db.execute("UPDATE witnesses SET record = x'c1' WHERE id = ?", (lost,)))
    ingest.store.close()
    again = Ingest(tmp_path / "data")
    again.wait(0)
    assert (again.acceptor.held, again.rows("held")) == (1, 1)
    again.wait(LIVE_S)
    assert (again.views(), again.rows("held")) == ([[seen(2, "client").id]], 0)
    again.store.close()


def test_an_agent_that_has_nothing_more_to_deliver_lets_its_views_go(ingest: Ingest) -> None:
    ingest.at = 3600.0  # as if imported long afterwards
    ingest.deliver("import", seen(1, "client"), seen(2, "client"))
    assert ingest.views() == []
    ingest.deliver("import")
    assert len(ingest.views()) == 2


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_late_view_is_counted_as_if_it_had_come_in_time(ingest: Ingest, tmp_path: Path, first: str) -> None:
    second = "server" if first == "client" else "client"
    in_time = Ingest(tmp_path / "in time")
    for one in (ingest, in_time):
        for number in range(3):
            one.deliver("both", seen(number, "client"), seen(number, "server"))
        one.deliver(first, seen(5, first), seen(6, first))
    in_time.deliver(second, seen(5, second), seen(6, second))
    ingest.wait(LIVE_S)
    assert len(ingest.views()) == 5
    ingest.wait(8 * 3600)
    ingest.deliver(second, seen(5, second), seen(6, second))
    assert ingest.views() == in_time.views()
    assert ingest.counts() == in_time.counts()
    assert ingest.acceptor.totals[SettledBy.LATE] == 2
    assert ingest.rows("alone") == 0
    in_time.store.close()


def later(ingest: Ingest) -> None:
    """By then the server knows its agents."""
    ingest.wait(0)
    ingest.wait(pairing.FRESH_S + 1)


def test_of_views_settled_alone_those_are_kept_whose_other_end_an_agent_watches(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lone_views, "ROOM", 0)
    later(ingest)
    ingest.deliver("client", seen(1, "client", ingest.at))
    ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 0
    ingest.deliver("server", seen(9, "server", ingest.at))  # the other agent watches its client's address
    ingest.deliver("client", seen(2, "client", ingest.at))
    ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 2
    ingest.deliver("server", seen(2, "server", ingest.at - LIVE_S))
    assert ingest.acceptor.totals[SettledBy.LATE] == 1


@pytest.mark.parametrize("address", [SERVER, VIRTUAL])
def test_an_internal_end_that_nobody_reported_may_be_watched_as_long_as_there_is_room(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    later(ingest)
    ingest.deliver("client", seen(1, "client", ingest.at, address))
    ingest.wait(LIVE_S)
    ingest.deliver("server", seen(1, "server", ingest.at - LIVE_S))
    assert [len(views) for views in ingest.views()] == [2]
    monkeypatch.setattr(lone_views, "ROOM", 1)
    for number in (2, 3):
        ingest.deliver("client", seen(number, "client", ingest.at, "10.0.0.99"))
        ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 1


def test_a_public_end_may_be_watched_as_long_as_there_is_room_beside_internal_ones(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(ingest)
    ingest.deliver("client", seen(1, "client", ingest.at, PUBLIC))
    ingest.wait(LIVE_S)
    ingest.deliver("server", seen(1, "server", ingest.at - LIVE_S, PUBLIC))
    assert [len(views) for views in ingest.views()] == [2]
    monkeypatch.setattr(lone_views, "UNLIKELY_ROOM", 1)
    for number in (2, 3):
        ingest.deliver("client", seen(number, "client", ingest.at, "9.9.9.10"))
        ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 1
    ingest.deliver("client", seen(4, "client", ingest.at, "10.0.0.99"))
    ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 2


def test_a_view_that_memory_had_no_room_for_is_counted_once_when_its_other_half_comes(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lone_views, "UNLIKELY_ROOM", 0)
    monkeypatch.setattr(holding, "MAX_HELD", 1)
    later(ingest)
    ingest.deliver("client", *(seen(number, "client", ingest.at, PUBLIC) for number in (1, 2)))
    assert ingest.acceptor.totals[SettledBy.MEMORY] == 1
    ingest.deliver("server", *(seen(number, "server", ingest.at, PUBLIC) for number in (1, 2)))
    assert [len(views) for views in ingest.views()] == [2, 2]
    assert ingest.acceptor.totals[SettledBy.LATE] == 1


def test_a_virtual_address_is_watched_once_a_call_through_it_was_paired(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lone_views, "ROOM", 0)
    later(ingest)
    ingest.deliver("client", seen(1, "client", ingest.at, VIRTUAL))
    ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 0
    ingest.deliver("client", seen(2, "client", ingest.at, VIRTUAL))
    ingest.deliver("server", seen(2, "server", ingest.at))
    ingest.deliver("client", seen(3, "client", ingest.at, VIRTUAL))
    ingest.wait(LIVE_S)
    assert ingest.rows("alone") == 1


def test_a_view_of_a_backlog_is_kept_whoever_watches_as_its_other_half_may_be_in_another(
    ingest: Ingest,
) -> None:
    later(ingest)
    ingest.deliver("client", seen(1, "client", ingest.at - 3600))
    ingest.wait(BACKLOG_S)
    ingest.deliver("server", seen(1, "server", ingest.at - 3600 - BACKLOG_S))
    assert [len(views) for views in ingest.views()] == [2]


def test_a_late_view_is_found_by_the_time_of_its_record(ingest: Ingest) -> None:
    for side in ("client", "server"):
        ingest.deliver(side, replace(seen(1, side), time=NOON + 9 * S))
        ingest.wait(BACKLOG_S)
    assert [len(views) for views in ingest.views()] == [2]


def test_a_late_view_whose_exchange_is_gone_waits_as_any_other(ingest: Ingest) -> None:
    ingest.deliver("client", seen(1, "client"))
    ingest.wait(LIVE_S)
    db = database(ingest.store)
    ingest.do(lambda unit: db.execute("DELETE FROM exchanges"))
    ingest.deliver("server", seen(1, "server"))
    assert ingest.acceptor.held == 1
    ingest.wait(BACKLOG_S)
    assert ingest.views() == [[seen(1, "server").id]]


def test_a_third_view_of_a_call_is_an_exchange_of_its_own(ingest: Ingest) -> None:
    ingest.deliver("client", seen(1, "client"))
    ingest.wait(LIVE_S)
    ingest.deliver("server", seen(1, "server"), seen(1, "server", id="third", connection="other"))
    ingest.wait(BACKLOG_S)
    assert [len(views) for views in ingest.views()] == [2, 1]
