"""Calls between two nodes count once though nothing is known yet of their clocks and connections; no two
calls are merged, whatever was lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.ingest.holding import LIVE_S, SettledBy
from server.ingest.outcomes import IN_DOUBT
from tests.server.ingesting import Ingest, S
from tests.server.records import MS, NOON, record


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    one = Ingest(tmp_path / "data")
    yield one
    one.store.close()


def seen(
    connection: int, number: int, side: str, at: float, path: str, took: int = 10 * MS, **options: Any
) -> Record:
    """A view of a call that began at a time (s since NOON)."""
    one = record(
        number,
        side,
        path,
        port=40_000 + connection,
        start=NOON + int(at * S),
        took=took,
        client=Endpoint("10.0.0.1", 40_000 + connection),
        server=Endpoint("10.96.0.1", 80) if side == "client" else Endpoint("10.0.0.2", 8080),
        node=f"node-{side}",
        agent=side,
    )
    return replace(one, id=f"{side}-{connection}-{number}", **options)


def deliver(ingest: Ingest, *views: Record) -> None:
    for view in views:
        assert view.timing.end is not None
        ingest.at = max(ingest.at, (view.timing.end - NOON) / S)
        ingest.deliver(view.agent, view)


def ended(ingest: Ingest) -> list[list[str]]:
    for _ in range(3):
        ingest.wait(LIVE_S)
    return ingest.views()


def pairs(connection: int, numbers: range) -> list[list[str]]:
    return [[f"{side}-{connection}-{number}" for side in ("client", "server")] for number in numbers]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("connections", [1, 5])
def test_calls_of_connections_that_one_agent_joined_late_count_once_from_the_first(
    ingest: Ingest, tmp_path: Path, restarted: bool, connections: int
) -> None:
    if restarted:
        deliver(ingest, *(seen(99, 0, side, 0, "/new") for side in ("client", "server")))
        ingest.store.close()
        seqs, ingest = ingest.seqs, Ingest(tmp_path / "data")
        ingest.seqs = seqs
    expected = pairs(99, range(1)) if restarted else []
    for number in range(8):
        for connection in range(connections):
            both = [
                seen(connection, number, side, 1 + number / 5 + connection / 50, f"/items/{number}")
                for side in ("client", "server")
            ]
            deliver(ingest, both[0], replace(both[1], stream=number - 7))
    assert ended(ingest) == sorted([
        *expected, *(pair for connection in range(connections) for pair in pairs(connection, range(8)))
    ])  # fmt: skip
    assert ingest.acceptor.totals[IN_DOUBT] == 0
    assert ingest.acceptor.totals[SettledBy.LATE] == 0
    ingest.store.close()


def test_the_only_call_of_a_connection_that_one_agent_joined_late_counts_once(ingest: Ingest) -> None:
    client, server = (seen(1, 5, side, 0, "/items/1") for side in ("client", "server"))
    deliver(ingest, client, replace(server, stream=2))
    assert ended(ingest) == pairs(1, range(5, 6))


def test_a_poll_whose_rhythm_shows_nothing_is_counted_at_each_end_and_said_to_be_in_doubt(
    ingest: Ingest,
) -> None:
    for number in range(6):
        client, server = (seen(1, number, side, number / 5, "/status") for side in ("client", "server"))
        deliver(ingest, client, replace(server, stream=number - 20))
    found = ended(ingest)
    assert list(map(len, found)) == [1] * 12
    assert 6 <= ingest.acceptor.totals[IN_DOUBT] <= 12, "in doubt is what was settled first"


@pytest.mark.parametrize("then", ["/status", "/items/{}"])
@pytest.mark.parametrize("lost", ["client", "server"])
def test_neighbours_that_each_lost_a_view_are_no_call_though_a_slow_download_says_little_of_the_clocks(
    ingest: Ingest, then: str, lost: str
) -> None:
    download = seen(0, 0, "server", 0, "/download", 30 * MS)
    deliver(ingest, download, seen(0, 0, "client", 0, "/download", 2000 * MS))
    other = "server" if lost == "client" else "client"
    gone = {(5, lost), (6, other)}
    for number in range(20):
        path = "/status" if number < 7 else then.format(number)
        at = 3 + number * 0.985
        both = [
            seen(1, number, side, at, path) for side in ("client", "server") if (number, side) not in gone
        ]
        deliver(ingest, *both)
    left = [[f"{other}-1-5"], [f"{lost}-1-6"]]
    assert ended(ingest) == sorted([
        *pairs(0, range(1)), *pairs(1, range(5)), *left, *pairs(1, range(7, 20))
    ])  # fmt: skip


def test_a_wrong_offset_is_given_up_once_other_calls_contradict_it(ingest: Ingest) -> None:
    """Of two polls, each lost a view at another end, before anything was known."""
    deliver(ingest, seen(1, 5, "client", 0, "/status"), seen(1, 6, "server", 0.9, "/status"))
    ingest.wait(LIVE_S)
    assert ingest.views() == [["client-1-5", "server-1-6"]]
    for number in range(7, 20):
        deliver(ingest, *(seen(1, number, side, number, f"/{number}") for side in ("client", "server")))
    found = ended(ingest)
    assert {tuple(one) for one in pairs(1, range(8, 20))} <= {*map(tuple, found)}
    assert [one for one in found if len(one) == 1] == [["client-1-7"], ["server-1-7"]]
    assert ingest.acceptor.totals[IN_DOUBT] == 1


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("delay", [0.5, 1.9, 2.1, 8.0])
def test_a_server_may_read_a_call_long_after_it_was_sent(ingest: Ingest, protocol: str, delay: float) -> None:
    client = seen(1, 1, "client", 0, "/1", int((delay + 0.1) * S), protocol=protocol)
    deliver(ingest, client, seen(1, 1, "server", delay, "/1", 90 * MS, protocol=protocol))
    assert ingest.views() == pairs(1, range(1, 2))


@pytest.mark.parametrize("step", [-1.5, -0.3, 0.3, 1.5])
@pytest.mark.parametrize("is_kept_alive", [False, True])
def test_after_a_clock_was_set_every_call_counts_once(
    ingest: Ingest, step: float, is_kept_alive: bool
) -> None:
    expected = []
    for number in range(12):
        connection, ordinal = (1, number) if is_kept_alive else (number, 0)
        late = step if number >= 6 else 0.0
        deliver(
            ingest,
            seen(connection, ordinal, "client", 3 * number, "/status"),
            seen(connection, ordinal, "server", 3 * number + late, "/status"),
        )
        expected += pairs(connection, range(ordinal, ordinal + 1))
    assert ended(ingest) == sorted(expected)


def test_a_server_that_took_longer_than_the_client_had_another_call(ingest: Ingest) -> None:
    """Its clock was set back, so that it seems to have begun before, and to have ended after it."""
    deliver(ingest, *(seen(0, 0, side, 0, "/other") for side in ("client", "server")))
    deliver(ingest, seen(1, 0, "client", 10, "/old", MS), seen(1, 1, "client", 10.01, "/old", 250 * MS))
    deliver(ingest, seen(1, 1, "server", 9.86, "/old", 250 * MS))
    assert ended(ingest) == sorted([*pairs(0, range(1)), ["client-1-0"], *pairs(1, range(1, 2))])
