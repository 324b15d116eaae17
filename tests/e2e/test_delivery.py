"""Delivery between real processes: the agent's shipper, `spectap server`, and failures between them.

Nothing is captured: a small process (tests/agent/ship/program.py) ships numbered records. The server returns
which ones arrived; all others must be counted.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.agent.ship.proxy import Proxy, Weather, between
from tests.e2e.analysis import Analysis
from tests.e2e.processes import Running, wait_until
from tests.e2e.spectap import ready


class Ship(Running):
    """The shipping process. `tell` sends a command, `ask` waits for its answer too."""

    def __init__(self, name: str, folder: Path, url: str, *options: object) -> None:
        program = [sys.executable, "-m", "tests.agent.ship.program", url, *map(str, options)]
        super().__init__(name, program, folder, stdin=True)
        self._asked = 0

    def tell(self, *words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        self._asked += 1

    def ask(self, *words: object) -> Any:
        self.tell(*words)
        lines = self.wait_for(self._answers, f"the answer to {words}") if words[0] != "close" else None
        if lines is None:
            assert self.process.wait(120) == 0, self.output()
            lines = self.stdout.read_text().splitlines()
        return json.loads(lines[self._asked - 1])

    def _answers(self) -> list[str] | None:
        whole = self.stdout.read_text().split("\n")[:-1]
        return whole if len(whole) >= self._asked else None

    def sent(self) -> bool:
        return bool(self.ask("state")["waiting"] == 0)

    def kill(self) -> None:
        """Kills it with SIGKILL, if it still runs."""
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        with suppress(BrokenPipeError):
            self.process.stdin.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Analysis]:
    """Not started yet."""
    analysis = Analysis(tmp_path)
    yield analysis
    if analysis._server is not None:
        analysis.end(signal.SIGTERM)


Start = Callable[..., Ship]


@pytest.fixture
def ship(tmp_path: Path, server: Analysis) -> Iterator[Start]:
    """Starts shipping processes that all use one spool."""
    started: list[Ship] = []

    def start(*options: object, url: str | None = None, spool: Path | None = None) -> Ship:
        place = ("--spool", spool or tmp_path / "spool")
        started.append(Ship(f"ship-{len(started)}", tmp_path, url or server.url, *place, *options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def once(numbers: range) -> Counter[int]:
    return Counter(numbers)


def test_a_server_away_killed_and_restarted_gets_every_record_once(server: Analysis, ship: Start) -> None:
    agent = ship()
    agent.ask("offer", 0, 2000)
    server.start()
    for first in range(2000, 6000, 1000):
        agent.tell("offer", first, 1000)
        before = server.stored()
        wait_until(lambda before=before: server.stored() > before, "more records")  # type: ignore[misc]
        server.end(signal.SIGTERM if first == 3000 else signal.SIGKILL)
        server.start()
    wait_until(agent.sent, "all to be acknowledged")
    assert server.numbers() == once(range(6000))
    assert agent.ask("close", 30) == {"ledger": {"parsed": 6000, "shipped": 6000}, "waiting": 0, "bytes": 0}
    assert server.totals() == {"parsed": 6000, "shipped": 6000}


@pytest.fixture
def proxy(server: Analysis) -> Iterator[Proxy]:
    with between(server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("weather", [one for one in Weather if one is not Weather.FAIR])
def test_whatever_the_network_does_every_record_arrives_once(
    server: Analysis, ship: Start, proxy: Proxy, weather: Weather
) -> None:
    server.start()
    agent = ship(url=f"http://127.0.0.1:{proxy.port}")
    agent.ask("offer", 0, 700)
    proxy.weather = weather
    proxy.cut_all()
    agent.ask("offer", 700, 700)
    wait_until(lambda: proxy.spoilt >= (1 if weather is Weather.SLOW else 3), "connections to be spoilt")
    agent.ask("offer", 1400, 700)
    proxy.weather = Weather.FAIR
    proxy.cut_all()
    assert agent.ask("close", 60)["ledger"] == {"parsed": 2100, "shipped": 2100}
    assert server.numbers() == once(range(2100))
    assert server.totals() == {"parsed": 2100, "shipped": 2100}


def test_what_was_kept_when_the_agent_was_killed_is_sent_by_the_next_one(
    server: Analysis, ship: Start, proxy: Proxy
) -> None:
    server.start()
    first = ship(url=f"http://127.0.0.1:{proxy.port}")
    wait_until(server.ledgers, "its first batch, which has no records")
    proxy.weather = Weather.CUT_ANSWER
    proxy.cut_all()
    first.ask("offer", 0, 1500)
    first.ask("kept")
    wait_until(lambda: server.stored() > 0, "a batch that is stored and not acknowledged")
    first.kill()
    proxy.weather = Weather.FAIR
    second = ship()
    second.ask("offer", 1500, 300)
    second.ask("close", 60)
    assert server.numbers() == once(range(1800))
    killed, ended = server.ledgers()
    assert killed["exchanges"] == {"parsed": 1500, "shipped": 1500}
    assert killed["stops"]["killed"] == 1
    assert killed["stops"]["blind_ms"] > 0
    assert ended["exchanges"] == {"parsed": 300, "shipped": 300}


def test_killed_again_and_again_under_load_nothing_is_there_twice_or_lost_from_the_middle(
    server: Analysis, ship: Start
) -> None:
    server.start()
    rounds, each = 5, 4000
    for number in range(rounds):
        agent = ship()
        agent.tell("offer", number * each, each)
        first = f"record-{number * each}"
        wait_until(lambda first=first: server.has(first), "a record of its own")  # type: ignore[misc]
        agent.kill()
    ship().ask("close", 60)
    found = server.numbers()
    assert set(found.values()) == {1}
    for number in range(rounds):
        mine = [one for one in found if number * each <= one < (number + 1) * each]
        assert sorted(mine) == list(range(number * each, number * each + len(mine)))
        assert mine
    totals = server.totals()
    assert totals == {"parsed": len(found), "shipped": len(found)}
    assert sum(ledger.get("stops", {}).get("killed", 0) for ledger in server.ledgers()) == rounds


def test_beyond_the_bound_of_the_spool_the_oldest_are_missing_and_counted(
    server: Analysis, ship: Start, tmp_path: Path
) -> None:
    bound, offered = 1024 * 1024, 500
    agent = ship("--spool-bytes", bound)
    for first in range(0, 4000, offered):
        agent.ask("offer", first, offered, 1000)
        agent.ask("kept")
    # What is written makes room for itself in the same transaction, so it is in the file beside the rest.
    assert (tmp_path / "spool" / "spool.db").stat().st_size <= bound + offered * 1200
    server.start()
    ledger = agent.ask("close", 60)["ledger"]
    assert ledger.keys() == {"parsed", "shipped", "spool_full"}
    assert ledger["spool_full"] > 1000
    missing = sorted(set(range(4000)) - set(server.numbers()))
    first = missing[0]  # after the batch being sent
    assert missing == list(range(first, first + ledger["spool_full"]))
    assert first <= 500
    assert set(server.numbers().values()) == {1}
    assert server.totals() == ledger == {**ledger, "parsed": 4000, "shipped": 4000 - ledger["spool_full"]}


def test_a_spool_of_garbage_is_moved_aside_and_nothing_new_is_lost(
    server: Analysis, ship: Start, tmp_path: Path
) -> None:
    file = tmp_path / "spool" / "spool.db"
    file.parent.mkdir()
    file.write_bytes(os.urandom(50_000))
    agent = ship()
    agent.ask("offer", 0, 500)
    agent.ask("kept")
    server.start()
    assert agent.ask("close", 60)["ledger"] == {"parsed": 500, "shipped": 500}
    assert server.numbers() == once(range(500))
    assert file.with_suffix(".broken").stat().st_size == 50_000
    (said,) = re.findall(r"the spool .*", agent.output())
    assert "was damaged: its records are lost" in said


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk(tmp_path / "disk", "600k") as folder:
        yield folder


@pytest.fixture
def larger_disk(tmp_path: Path) -> Iterator[Path]:
    with disk(tmp_path / "larger-disk", "6m") as folder:
        yield folder


@pytest.mark.root
def test_on_a_full_disk_memory_takes_over_until_there_is_room(
    server: Analysis, ship: Start, small_disk: Path
) -> None:
    agent = ship(spool=small_disk)
    agent.ask("offer", 0, 2000, 1000)
    wait_until(lambda: "the disk is full" in agent.output(), "the disk to be full")
    server.start()
    wait_until(agent.sent, "all to be acknowledged")
    wait_until(lambda: "the spool works again" in agent.output(), "the spool to work again")
    agent.ask("offer", 2000, 100)
    assert agent.ask("close", 60)["ledger"] == {"parsed": 2100, "shipped": 2100}
    assert server.numbers() == once(range(2100))
    said = [line for line in agent.output().splitlines() if "spool" in line]
    assert ["full" in line for line in said[:2]] == [True, False]


@pytest.mark.root
def test_a_server_whose_disk_is_full_says_so_and_takes_every_record_once_there_is_room(
    tmp_path: Path, ship: Start, larger_disk: Path
) -> None:
    server = Analysis(tmp_path, larger_disk / "data")
    server.start()
    try:
        agent = ship(url=server.url)
        agent.ask("offer", 0, 5000, 2000)
        wait_until(lambda: not ready(f"{server.url}/readyz"), "the server's disk to be full")
        wait_until(lambda: 'outcome="unavailable"' in server.server.metrics(), "a batch to be put off")
        stored, state = server.stored(), agent.ask("state")
        assert 0 < stored < 5000
        assert state["ledger"]["parsed"] == 5000 == state["ledger"]["shipped"] + state["ledger"]["in_flight"]
        subprocess.run(["mount", "-o", "remount,size=200m", larger_disk], check=True)
        wait_until(agent.sent, "all to be acknowledged")
        assert server.numbers() == once(range(5000))
        assert agent.ask("close", 30)["ledger"] == {"parsed": 5000, "shipped": 5000}
        assert server.totals() == {"parsed": 5000, "shipped": 5000}
    finally:
        server.end(signal.SIGTERM)


@pytest.mark.root
def test_an_agent_killed_on_a_full_disk_loses_what_was_in_memory_and_nothing_else(
    server: Analysis, ship: Start, small_disk: Path
) -> None:
    agent = ship(spool=small_disk)
    agent.ask("offer", 0, 200, 1000)
    agent.ask("kept")  # no part of a batch is stored if the disk has no room for it
    agent.ask("offer", 200, 1800, 1000)
    wait_until(lambda: "the disk is full" in agent.output(), "the disk to be full")
    agent.kill()
    server.start()
    ship(spool=small_disk).ask("close", 60)
    found = server.numbers()
    assert 100 < len(found) < 2000
    assert found == once(range(len(found)))
    assert server.totals() == {"parsed": len(found), "shipped": len(found)}
