"""A node whose clock is years off moves no first or last call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.wire import FROM_FILES, Record, WebSocket, WebSocketHalf, WebSocketText, decode_record
from server.ingest import dating
from server.ingest.dating import EARLIEST, moved
from server.ingest.outcomes import MISDATED
from server.store.filters import Filters
from tests.server.ingesting import Ingest
from tests.server.records import MS, NOON, record

DAY = 86_400_000_000_000
IN_1970, IN_2116 = 5_000_000_000, 2**62 - 10_000_000_000


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingest]:
    monkeypatch.setattr(dating, "MOST_AHEAD", DAY)
    ingest = Ingest(tmp_path)
    yield ingest
    ingest.store.close()


def seen(ingest: Ingest) -> list[tuple[int, int | None]]:
    """When the first and the last call of each API was."""
    ingest.wait(100)
    with ingest.store.reading() as reader:
        rows = reader.inventory.apis(Filters(), 10, None).rows
    return [(row.first_seen or 0, row.last_seen) for row in rows]


@pytest.mark.parametrize("start", [0, IN_1970, EARLIEST - 10 * MS, NOON + 2 * DAY, IN_2116])
def test_an_impossible_time_is_the_time_of_arrival(ingest: Ingest, start: int) -> None:
    ingest.deliver("a", record(start=start))
    assert seen(ingest) == [(NOON, NOON)]
    assert ingest.acceptor.totals[MISDATED] == 1


@pytest.mark.parametrize("start", [EARLIEST, NOON - 400 * DAY, NOON + DAY // 2])
def test_a_possible_time_stays(ingest: Ingest, start: int) -> None:
    view = record(start=start)
    ingest.deliver("a", view)
    assert seen(ingest) == [(view.time, view.time)]
    assert not ingest.acceptor.totals[MISDATED]


def test_a_file_may_tell_of_the_past_but_not_of_the_future(ingest: Ingest) -> None:
    past = record(start=IN_1970, agent=FROM_FILES)
    ingest.deliver("import", past, record(1, start=IN_2116, agent=FROM_FILES))
    assert seen(ingest) == [(past.time, NOON)]


def test_records_of_a_batch_keep_their_order_and_durations(ingest: Ingest) -> None:
    views = [record(n, start=IN_2116 + n * MS, took=7 * MS) for n in range(3)]
    ingest.deliver("a", *views)
    ingest.wait(100)
    with ingest.store.reading() as reader:
        rows = reader.exchanges.listed(Filters(), 10, None).rows
    found = sorted((view for row in rows for view in row.views), key=lambda view: view.stream)
    assert [view.time for view in found] == [NOON - 2 * MS, NOON - MS, NOON]
    assert {_took(view) for view in found} == {_took(views[0])}


def test_one_that_is_older_than_another_by_years_arrives_now_too(ingest: Ingest) -> None:
    ingest.deliver("a", record(start=IN_1970), record(1, start=IN_2116))
    assert seen(ingest) == [(NOON, NOON)]


def test_a_view_of_both_ends_of_a_call_is_still_one(ingest: Ingest) -> None:
    ingest.deliver("a", *(record(0, side, start=IN_2116) for side in ("client", "server")))
    ingest.wait(100)
    assert ingest.views() == [["client-40000-0", "server-40000-0"]]


def test_times_within_a_websocket_move_too() -> None:
    half = WebSocketHalf(1, 1, 0, 0, 0, 0, 2, 0)
    socket = WebSocket(half, half, 1000, "client", 2000, (WebSocketText("client", b"{}", 1500),))
    whole, raw = moved(record(start=1000, websocket=socket), record(start=1000).time, NOON)
    by = NOON - record(start=1000).time
    assert whole.websocket is not None
    assert (whole.websocket.end, whole.websocket.texts[0].time) == (2000 + by, 1500 + by)
    assert decode_record(raw) == whole


def _took(view: Record) -> int:
    assert view.timing.end is not None
    assert view.timing.request_start is not None
    return view.timing.end - view.timing.request_start
