"""Go calls that pass unseen: of connections older than the probes, and of too many goroutines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.events import Chunk, Direction, Event, Lost
from agent.ledger import Kernel
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import watching
from tests.e2e import go_programs, our_programs
from tests.e2e.calls import echo_call
from tests.e2e.certificates import make
from tests.e2e.observations import AGGREGATION_HEADER

pytestmark = pytest.mark.root

FOLLOWED = 32  # goroutines
ID = re.compile(rb"%s: (\S+)" % AGGREGATION_HEADER.encode(), re.IGNORECASE)


def ids(told: list[Event], pid: int, direction: Direction) -> set[str]:
    """The calls whose request or answer passed so in this process."""
    chunks = [event for event in told if isinstance(event, Chunk) and event.connection.source == "go"]
    mine = (chunk.data for chunk in chunks if chunk.pid == pid and chunk.direction is direction)
    return {found.decode() for data in mine for found in ID.findall(data)}


def test_a_connection_older_than_its_probes_is_captured_from_its_second_call_on(tmp_path: Path) -> None:
    """A goroutine waits for the next answer before the probes are there: that answer passes unseen."""
    certificate, program = make(tmp_path), go_programs.STRIPPED.make(tmp_path)
    with (
        our_programs.server(program, tmp_path, certificate) as server,
        our_programs.client(program, tmp_path, server.port, certificate) as client,
    ):
        client.make([echo_call("before")])
        client_pid, server_pid = client.process.pid, server.process.pid
        with watching(CaptureFilters(only_pids=frozenset({client_pid, server_pid}))) as watch:
            calls = [client.make([echo_call("late")])[0].id for _ in range(4)]

            def seen(pid: int, direction: Direction) -> set[str]:
                return ids(watch.told, pid, direction)

            watch.until(
                lambda: (
                    calls[-1] in seen(client_pid, Direction.RECEIVED)
                    and calls[-1] in seen(server_pid, Direction.SENT)
                ),
                "the last call at both ends",
            )
            assert seen(client_pid, Direction.SENT) == seen(client_pid, Direction.RECEIVED) == {*calls[1:]}
            assert seen(server_pid, Direction.RECEIVED) == {*calls[1:]}


def test_a_read_that_gave_way_to_newer_ones_is_counted(tmp_path: Path) -> None:
    certificate, program = make(tmp_path), go_programs.STRIPPED.make(tmp_path)
    with (
        our_programs.server(program, tmp_path, certificate) as server,
        our_programs.client(program, tmp_path, server.port, certificate) as client,
        watching(CaptureFilters(only_pids=frozenset({server.process.pid})), go_calls=FOLLOWED) as watch,
    ):
        for _ in range(2):
            client.make([echo_call("many", number) for number in range(5 * FOLLOWED)])

        def lost() -> int:
            losses = [event for event in watch.told if isinstance(event, Lost)]
            return sum(loss.count for loss in losses if loss.what == Kernel.TABLE_FULL)

        watch.until(lambda: lost() >= 2 * FOLLOWED, "the count")
