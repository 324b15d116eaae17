"""Every byte and every exchange in the ledger, compared with the counts of our own client and server.

The agent captures one port. The ledger then has exactly what both programs wrote and read, except for the
buckets of filtered traffic. One agent per test: each ends with its final ledger.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.analysis import Analysis
from tests.e2e.certificates import Certificate
from tests.e2e.processes import Running, python, running, wait_until
from tests.e2e.spectap import Agent, agent, command, start_agent

pytestmark = pytest.mark.root

OTHERS = {"seen", "filtered", "not_tcp", "unix_socket", "tls_ciphertext"}
Ledger = dict[str, dict[str, int]]


class Bursts:
    """A counting server, and clients that call it; `tally` is the sum of all their counts."""

    def __init__(self, folder: Path, server: Running, options: list[str]) -> None:
        self.port = int(server.first_line())
        self.tally: Counter[str] = Counter()
        self._folder, self._server, self._options = folder, server, options
        self._made = 0

    def client(self, connections: int, calls: int) -> Running:
        """A running client."""
        self._made += 1
        sizes = ("--connections", connections, "--calls", calls, "--name", f"call-{self._made}")
        argv = python("burst", "client", "--port", self.port, *sizes, *self._options)
        return Running(f"burst-{self._made}", argv, self._folder)

    def count(self, client: Running) -> None:
        assert client.finish() == 0, client.output()
        self.tally.update(json.loads(client.stdout.read_text()))

    def burst(self, connections: int, calls: int) -> None:
        self.count(self.client(connections, calls))

    def end(self) -> None:
        assert self._server.finish() == 0, self._server.output()
        counted = json.loads(self._server.stdout.read_text().splitlines()[1])
        assert counted["calls"] == self.tally["calls"]
        self.tally.update(counted)

    @property
    def bytes(self) -> int:
        """Bytes that passed in all their calls of send and recv."""
        return self.tally["sent"] + self.tally["received"]

    @property
    def views(self) -> int:
        """One exchange of each call at both ends."""
        return self.tally["calls"]


@contextmanager
def bursts(folder: Path, body: int, certificate: Certificate | None = None) -> Iterator[Bursts]:
    serve = ["--tls", certificate.certificate, certificate.key] if certificate else []
    ask = ["--ca", str(certificate.certificate)] if certificate else []
    argv = python("burst", "server", "--body", body, *serve)
    with running("burst-server", argv, folder, stdin=True) as server:
        yield Bursts(folder, server, ask)


@pytest.fixture
def analysis(tmp_path: Path) -> Iterator[Analysis]:
    server = Analysis(tmp_path)
    server.start()
    yield server
    server.end(signal.SIGTERM)


def final(analysis: Analysis) -> Ledger:
    """The final ledger of the latest start on the server; asserts that both parts balance."""
    ledger = analysis.ledgers()[-1]
    for part, total in (("bytes", "seen"), ("exchanges", "parsed")):
        counts = dict(ledger[part])
        assert counts.pop(total) == sum(counts.values()), ledger
    assert "unaccounted_bytes" not in ledger["kernel"]
    assert "in_flight" not in ledger["exchanges"]
    return ledger


def ours(ledger: Ledger) -> Counter[str]:
    """Bytes of the captured port, by bucket."""
    return Counter({bucket: count for bucket, count in ledger["bytes"].items() if bucket not in OTHERS})


def views_stored(analysis: Analysis) -> list[tuple[str, list[str]]]:
    """The name and the views' sides of each exchange that is stored with its own request and response."""
    found = []
    for seen in analysis.server.settled().exchanges():
        if seen.path is None:
            continue
        name = seen.path.rpartition(b"/")[2].decode()
        found.append((name, [witness.side for witness in seen.witnesses]))
        data = seen.response.data if seen.response else None
        if data:
            assert data.startswith(f'{{"id":"{name}"'.encode()), (name, data[:40])
    return found


def calls_stored(analysis: Analysis) -> Counter[str]:
    """Names of the calls that are stored."""
    return Counter(name for name, _ in views_stored(analysis))


def server_balances(analysis: Analysis, shipped: int) -> None:
    """Asserts that each record that an agent counts as shipped is stored, as a first or other view, or as a
    duplicate.
    """
    counts = dict(analysis.server.get("/ledger")["server"])
    counts.pop("duplicate_batch", None)  # sent again, and shipped once
    assert sum(counts.values()) == shipped


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_in_a_normal_run_every_byte_is_parsed_and_every_call_is_stored_once(
    analysis: Analysis, tmp_path: Path, certificate: Certificate, tls: bool
) -> None:
    trusted = certificate if tls else None
    with bursts(tmp_path, 3000, trusted) as made:
        with agent(tmp_path, analysis.server, "--port", made.port) as watcher:
            made.burst(8, 50)
            made.end()
            wait_until(lambda: watcher.exchanges_in("shipped") >= made.views, "all to be shipped")
        ledger = final(analysis)
        assert ours(ledger) == {"parsed": made.bytes}
        assert (ledger["bytes"].get("tls_ciphertext", 0) > made.bytes) is tls
        assert ledger["kernel"] == {}
        assert ledger["exchanges"] == {"parsed": made.views, "shipped": made.views}
        server_balances(analysis, made.views)
        assert set(calls_stored(analysis).values()) == {1}
        told = [json.loads(line)["message"] for line in watcher.process.stderr.read_text().splitlines()]
        assert [line.endswith("balanced") for line in told[-2:]] == [True, True], told[-2:]


def test_what_lies_beyond_the_cap_is_counted_as_that(analysis: Analysis, tmp_path: Path) -> None:
    with bursts(tmp_path, 100_000) as made:
        with agent(tmp_path, analysis.server, "--port", made.port) as watcher:
            made.burst(4, 20)
            made.end()
            wait_until(lambda: watcher.exchanges_in("shipped") >= made.views, "all to be shipped")
        ledger = final(analysis)
        counts = ours(ledger)
        assert counts.keys() == {"parsed", "capped"}
        assert sum(counts.values()) == made.bytes
        assert ledger["exchanges"] == {"parsed": made.views, "shipped": made.views}


def test_what_a_ring_made_tiny_loses_is_in_its_bucket_and_marked_in_the_exchanges(
    analysis: Analysis, tmp_path: Path
) -> None:
    with bursts(tmp_path, 3000) as made:
        with agent(tmp_path, analysis.server, "--port", made.port, "--ring-mib", 1) as watcher:
            made.burst(4, 5)
            os.kill(watcher.process.pid, signal.SIGSTOP)  # nobody reads the ring meanwhile
            made.burst(4, 200)
            os.kill(watcher.process.pid, signal.SIGCONT)
            wait_until(lambda: watcher.bytes_in("ring_full") > 0, "the loss to be told")
            made.burst(4, 5)
            made.end()
            wait_until(lambda: watcher.bytes_in("seen") >= made.bytes, "all bytes to be told of")
        ledger = final(analysis)
        counts = ours(ledger)
        assert sum(counts.values()) == made.bytes
        assert counts["ring_full"] > 1_000_000
        assert counts.keys() <= {"parsed", "ring_full", "unsynced", "not_http"}, counts
        assert ledger["kernel"]["ring_full_events"] > 0
        assert ledger["exchanges"]["parsed"] == ledger["exchanges"]["shipped"] < made.views
        server_balances(analysis, ledger["exchanges"]["shipped"])
        names = calls_stored(analysis)
        whole = {f"call-{burst}-{line}-{n}" for burst in (1, 3) for line in range(4) for n in range(5)}
        assert whole <= names.keys()
        seen = Counter(one.completeness for one in analysis.server.settled().exchanges())
        assert seen["gap"] > 0, seen


SMALL = ({"connections": 32, "threads": 128}, {"connections": 8, "remembered": 16, "held_bytes": 65536})


def test_tables_made_tiny_lose_calls_and_mistake_none(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_AGENT", json.dumps(SMALL))
    program = [sys.executable, "-m", "tests.e2e.programs.small_agent"]
    with bursts(tmp_path, 3000) as made:
        with agent(tmp_path, analysis.server, "--port", made.port, program=program) as watcher:
            made.burst(150, 10)
            made.end()
            wait_until(lambda: watcher.bytes_in("parsed") > 0, "something to be parsed")
        ledger = final(analysis)
        counts = ours(ledger)
        assert ledger["kernel"]["kernel_table_full"] > 0
        assert 0 < sum(counts.values()) < made.bytes  # calls without a place in the table are lost
        assert counts.keys() <= {"parsed", "unsynced", "not_http", "table_full", "late"}, counts
        server_balances(analysis, ledger["exchanges"]["shipped"])
        views = Counter((name, side) for name, sides in views_stored(analysis) for side in sides)
        assert max(views.values()) == 1


def test_tables_of_connections_made_tiny_lose_no_byte(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_AGENT", json.dumps(({"connections": 32}, SMALL[1])))
    program = [sys.executable, "-m", "tests.e2e.programs.small_agent"]
    with bursts(tmp_path, 3000) as made:
        with agent(tmp_path, analysis.server, "--port", made.port, program=program) as watcher:
            made.burst(100, 10)
            made.end()
            wait_until(lambda: watcher.bytes_in("seen") >= made.bytes, "all bytes to be told of")
        ledger = final(analysis)
        assert sum(ours(ledger).values()) == made.bytes
        assert ledger["kernel"] == {}
        server_balances(analysis, ledger["exchanges"]["shipped"])
        assert calls_stored(analysis)


def test_a_server_that_is_killed_and_comes_back_gets_every_call_once(
    analysis: Analysis, tmp_path: Path
) -> None:
    with bursts(tmp_path, 1000) as made:
        with agent(tmp_path, analysis.server, "--port", made.port) as watcher:
            for _ in range(3):
                client = made.client(4, 100)
                wait_until(lambda: watcher.exchanges_in("shipped") > 0, "something to be shipped")
                analysis.end()
                made.count(client)
                analysis.start()
            made.end()
            wait_until(lambda: watcher.exchanges_in("shipped") >= made.views, "all to be shipped")
        ledger = final(analysis)
        assert ours(ledger) == {"parsed": made.bytes}
        assert ledger["exchanges"] == {"parsed": made.views, "shipped": made.views}
        server_balances(analysis, made.views)
        names = calls_stored(analysis)
        assert (len(names), set(names.values())) == (made.tally["calls"] // 2, {1})


def killed(started: Agent) -> None:
    started.process.process.kill()
    started.process.process.wait()


def test_an_agent_that_is_killed_leaves_a_ledger_that_balances_and_a_stated_blind_time(
    analysis: Analysis, tmp_path: Path
) -> None:
    with bursts(tmp_path, 1000) as made:
        first = start_agent([command("spectap-agent")], tmp_path, analysis.url, "--port", made.port)
        try:
            first.process.wait_for(first.ready, "readiness")
            made.burst(4, 50)
            wait_until(lambda: first.exchanges_in("shipped") > 0, "something to be shipped")
        finally:
            killed(first)
        before = made.views
        made.burst(4, 10)  # not captured
        unseen = made.views - before
        with agent(tmp_path, analysis.server, "--port", made.port) as watcher:
            made.burst(4, 50)
            made.end()
            wait_until(lambda: watcher.exchanges_in("shipped") > 0, "something to be shipped")
        cut, ended = analysis.ledgers()
        assert cut["exchanges"].keys() == {"parsed", "shipped"}
        assert cut["exchanges"]["parsed"] == cut["exchanges"]["shipped"]
        assert 0 < cut["exchanges"]["parsed"] <= 2 * before
        assert cut["stops"]["killed"] == 1
        assert cut["stops"]["blind_ms"] > 0
        assert ended["exchanges"] == {"parsed": 400, "shipped": 400}
        assert final(analysis) == ended
        server_balances(analysis, cut["exchanges"]["shipped"] + 400)
        names = calls_stored(analysis)
        assert set(names.values()) == {1}
        assert not [name for name in names if name.startswith("call-2-")], unseen
