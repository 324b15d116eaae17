"""How fresh the data is, and what is left out when the agent cannot keep up, is stated, counted and true."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.ladder import CaptureLevel
from tests.e2e import services
from tests.e2e.calls import echo_call
from tests.e2e.certificates import Certificate
from tests.e2e.processes import python, running, wait_until
from tests.e2e.services import Caller, Echo
from tests.e2e.spectap import Server, Spectap, agent, by_id, ready, serving

pytestmark = pytest.mark.root

LATE_S = 10.0
BODY = 20_000  # bytes
CONNECTIONS = 40  # all in, or all out of, a sample of one in 4 by a chance of 1 in 100,000
DIRECTED = [sys.executable, "-m", "tests.e2e.programs.directed_agent"]


def captures(server: Server) -> bool:
    """What a script waits for before it makes calls."""
    return ready(f"{server.url}/readyz?agent=1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


def test_calls_beside_busy_programs_are_stored_and_no_older_than_is_promised(
    server: Server, tmp_path: Path
) -> None:
    """The agent runs at idle priority, and the busy threads at normal: two for each CPU."""
    assert not captures(server)
    with ExitStack() as stack:
        watcher = stack.enter_context(agent(tmp_path, server))
        wait_until(lambda: captures(server), "the server to have heard that the agent captures")
        for number in range(2 * len(os.sched_getaffinity(0))):
            stack.enter_context(running(f"busy-{number}", python("busy"), tmp_path))
        spectap = Spectap(server, watcher)
        echo = stack.enter_context(services.echo("beside", tmp_path))
        client = stack.enter_context(services.caller("beside-caller", tmp_path, echo.port))
        for _ in range(3):
            made = client.make([echo_call("beside") for _ in range(20)])
            spectap.of_port(echo.port, made)

        def is_fresh() -> bool:
            (start,) = server.items("/agents")
            return bool(start["watching"] == "everything" and start["lag_s"] < LATE_S)

        wait_until(is_fresh, "a report that is fresh")
    wait_until(lambda: not captures(server), "the server to have heard that the agent has stopped")


class Stepping:
    """An agent whose steps the test decides, beside an echo server."""

    def __init__(self, spectap: Spectap, echo: Echo, client: Caller, level: Path) -> None:
        self.spectap, self.echo, self.client, self._level = spectap, echo, client, level

    def step(self, level: CaptureLevel) -> None:
        """Returns once the server has heard that this is captured."""
        new = self._level.with_suffix(".new")
        new.write_text(level.name)
        new.replace(self._level)
        server = self.spectap.server
        wait_until(lambda: server.items("/agents")[0]["watching"] == level.scope, level.scope)

    def steps(self, bucket: str) -> int:
        return int(self.spectap.agent.status()["ledger"].get("steps", {}).get(bucket, 0))


@pytest.fixture(params=["plain", "tls"])
def stepping(
    request: pytest.FixtureRequest,
    server: Server,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stepping]:
    level, trusted = tmp_path / "level", certificate if request.param == "tls" else None
    level.write_text(CaptureLevel.EVERYTHING.name)
    monkeypatch.setenv("DIRECTED_AGENT", str(level))
    with (
        agent(tmp_path, server, program=DIRECTED) as watcher,
        services.echo("steps", tmp_path, certificate=trusted) as echo,
        services.caller("steps-caller", tmp_path, echo.port, certificate=trusted) as client,
    ):
        wait_until(lambda: captures(server), "capture")
        yield Stepping(Spectap(server, watcher), echo, client, level)
    balance = server.get("/ledger")["balance"]["bytes"]
    assert (balance["open"], balance["ahead"]) == (0, 0), server.get("/ledger")


def test_each_step_leaves_out_what_it_says_at_both_ends_and_a_step_back_captures_again(
    stepping: Stepping,
) -> None:
    spectap, port = stepping.spectap, stepping.echo.port
    whole = stepping.client.make([echo_call("whole", number, size=BODY) for number in range(CONNECTIONS)])
    stored = spectap.of_port(port, whole)
    assert {one.request.state for one in stored.values() if one.request} == {"complete"}

    stepping.step(CaptureLevel.HEADS)
    heads = stepping.client.make([echo_call("heads", number, size=BODY) for number in range(CONNECTIONS)])
    stored = spectap.of_port(port, heads)
    sizes = {call.id: call.request.size for call in heads if call.request}
    for one in stored.values():
        assert one.request is not None
        assert (one.request.data, one.request.state) == (None, "unseen")
    found = {name: one.request.size for name, one in stored.items() if one.request}
    assert found == {name: sizes[name] for name in found}
    assert spectap.agent.bytes_in("stepped_down") > 0
    assert stepping.steps("bodies_left_out") >= 2 * CONNECTIONS

    stepping.step(CaptureLevel.ONE_IN_4)
    few = stepping.client.make([echo_call("few", number) for number in range(CONNECTIONS)])
    stepping.step(CaptureLevel.EVERYTHING)
    again = stepping.client.make([echo_call("again", number) for number in range(CONNECTIONS)])
    last = stepping.client.make([echo_call("last", number) for number in range(CONNECTIONS)])
    spectap.of_port(port, last)  # so the others, too, were delivered
    kept = by_id(spectap.server.settled().exchanges(), {call.id for call in few})
    assert 0 < len(kept) < CONNECTIONS
    assert {len(one.witnesses) for found in kept.values() for one in found} == {2}
    assert spectap.agent.bytes_in("sampled_out") > 0
    assert by_id(spectap.server.exchanges(), {call.id for call in again})
    assert [stepping.steps(bucket) for bucket in ("to_heads", "to_sample", "back")] == [1, 1, 2]
