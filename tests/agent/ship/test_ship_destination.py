"""Records captured for one server are sent to another only if that is configured."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import msgpack
import pytest

from agent.ledger import Exchanges
from agent.ship.parcel import LedgerMap, body
from agent.ship.shipper import destination
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from agent.ship.spool_file import SpoolHeld
from tests.agent.ship.spools import ALL, HOUR, NOW, numbers, packed, place_in, settle_all, started
from tests.agent.ship.stores import nowhere
from tests.server.running import serving, wait_for
from tests.telemetry import telemetry

A, B = "http://a.example:8080", "http://b.example:8080"
SECOND = 1_000_000_000
COUNTS = {"bytes": {"seen": 900}, "exchanges": {"parsed": 9, "shipped": 6}, "kernel": {}}


@pytest.fixture
def of_a(tmp_path: Path) -> SpoolConfig:
    """A spool with three records of nine waiting for A."""
    place = replace(place_in(tmp_path), server=A)
    spool = started(place)
    spool.put(packed(1, 2, 3), COUNTS, NOW)
    spool.end(COUNTS, NOW, ledger_sent=False)
    spool.close()
    return place


def test_what_waits_for_one_server_is_held_from_another_and_kept_for_the_first(of_a: SpoolConfig) -> None:
    for _ in range(2):
        with pytest.raises(SpoolHeld, match=f"3 records for {A}: start the agent with that --server"):
            started(replace(of_a, server=B), "epoch-2")
    spool = started(of_a, "epoch-3")
    assert settle_all(spool) == [1, 2, 3]
    spool.close()


def test_what_waits_for_a_server_is_sent_to_it_when_tls_comes_and_goes(of_a: SpoolConfig) -> None:
    for number, url in enumerate((A.replace("http", "https"), A), 2):
        started(replace(of_a, server=url), f"epoch-{number}").close()
    spool = started(replace(of_a, server=A.replace("http", "https")), "epoch-4")
    assert settle_all(spool) == [1, 2, 3]
    spool.close()


def test_told_to_forward_it_the_new_server_gets_all_and_hears_of_nothing_else(of_a: SpoolConfig) -> None:
    spool = started(replace(of_a, server=B, forward=True), "epoch-2")
    parcel = spool.take(*ALL)
    assert parcel is not None
    assert (numbers(parcel), parcel.address) == ([1, 2, 3], None)
    spool.settle(parcel, Exchanges.SHIPPED)
    assert farewell(spool) == ("epoch-1", {"exchanges": {"parsed": 3, "shipped": 3}})
    spool.close()


def farewell(spool: Spool) -> tuple[str, LedgerMap]:
    """The epoch whose final ledger is to be sent, and that ledger."""
    parcel = spool.take(*ALL)
    assert parcel is not None
    assert parcel.address is not None
    said = msgpack.unpackb(body(parcel, parcel.address, coded=False))
    return said["epoch"], said["ledger"]


def test_a_spool_in_which_nothing_waits_is_any_servers_who_hears_nothing_of_before(tmp_path: Path) -> None:
    place = replace(place_in(tmp_path), server=A)
    spool = started(place)
    spool.end(COUNTS, NOW, ledger_sent=False)
    spool.close()
    spool = started(replace(place, server=B), "epoch-2")
    assert not spool.has_earlier_starts
    spool.put(packed(4), COUNTS, NOW)
    spool.close()
    with pytest.raises(SpoolHeld, match=f"1 records for {B}"):
        started(place, "epoch-3")


def test_what_is_too_old_is_dropped_and_counted_and_the_spool_is_the_new_servers(of_a: SpoolConfig) -> None:
    late = NOW + (24 * HOUR + 1) * SECOND
    with pytest.raises(SpoolHeld):
        started(replace(of_a, server=B), "epoch-2", late - 2 * SECOND)
    spool = started(replace(of_a, server=B), "epoch-2", late)
    assert farewell(spool) == ("epoch-1", {"exchanges": {"parsed": 3, "spool_expired": 3}})
    spool.close()


def test_a_file_begun_anew_on_a_full_disk_is_the_same_servers(of_a: SpoolConfig) -> None:
    spool = started(of_a, "epoch-2")
    spool.put(packed(4), COUNTS, NOW)
    settle_all(spool)
    spool._disk.start_over(spool._epochs)
    spool.put(packed(5), COUNTS, NOW)
    spool.close()
    with pytest.raises(SpoolHeld):
        started(replace(of_a, server=B), "epoch-3")


def test_a_spool_of_an_older_version_is_sent_to_whichever_server_comes_first(of_a: SpoolConfig) -> None:
    with closing(sqlite3.connect(of_a.file)) as db:
        db.execute("DROP TABLE destination")
    spool = started(replace(of_a, server=B), "epoch-2")
    assert settle_all(spool) == [1, 2, 3]
    spool.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://Shop.example:8080/", "http://shop.example:8080"),
        ("http://user:secret@shop.example:8080?token=secret", "http://shop.example:8080"),
        ("https://shop.example/Team/", "https://shop.example/Team"),
    ],
)
def test_a_server_is_told_by_its_url_without_credentials(url: str, shown: str) -> None:
    assert destination(url) == shown


class Agent:
    """The real agent's gateway side, which needs no root. Ends with its context at the latest."""

    def __init__(self, folder: Path, server: str, *options: str) -> None:
        self._said = folder / "said"
        command = [sys.executable, "-m", "agent", "run", "--no-capture", "--telemetry-listen", "127.0.0.1:0"]
        command += ["--server", server, "--status-listen", "127.0.0.1:0", "--spool", str(folder / "spool")]
        command += ["--key-file", str(folder / "key"), *options]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(command, stderr=said)

    @property
    def said(self) -> str:
        assert self._process.poll() is None, self._said.read_text()
        return self._said.read_text()

    def report(self, path: str) -> None:
        (url, *_) = wait_for(lambda: re.findall(r"http://\S+/api/telemetry", self.said), "listener")
        assert httpx.post(url, content=telemetry(path=path), trust_env=False).status_code == 200

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> str:
        self._process.terminate()
        assert self._process.wait(60) == 0
        return self._said.read_text()


def test_an_agent_at_another_server_sends_what_waits_only_when_it_is_told_to(tmp_path: Path) -> None:
    def paths() -> set[str]:
        return {one["path"]["text"] for one in server.items("/exchanges")}

    gone = nowhere()
    with Agent(tmp_path, gone) as first:
        for path in ("/1", "/2"):
            first.report(path)
        assert "2 records wait in" in first.end()
    with serving(tmp_path / "data") as server:
        url = str(server.http.base_url)
        with Agent(tmp_path, url) as held:
            held.report("/3")
            wait_for(lambda: paths() == {"/3"}, "the exchange of its own")
            (line,) = [line for line in held.end().splitlines() if "WARNING" in line and "spool" in line]
        assert f"holds 2 records for {gone}: start the agent with that --server, or with --forward-" in line
        assert paths() == {"/3"}
        with Agent(tmp_path, url, "--forward-spool") as told:
            wait_for(lambda: paths() == {"/1", "/2", "/3"}, "what waited")
            assert "for the next start" not in told.end()
        exchanges = server.get("/ledger")["balance"]["exchanges"]
        assert (exchanges["total"], exchanges["open"]) == (3, 0)
        assert server.get("/ledger")["balance"]["delivery"]["open"] == 0
