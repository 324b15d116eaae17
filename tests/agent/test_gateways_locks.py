"""Reports and the spool cannot deadlock: whatever one does, the other continues."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent import config
from agent.cli import parser
from agent.commands.run import Run
from agent.deadline import Deadline
from agent.redact.policy import Policy
from tests.agent.ship.stores import PATIENCE_S, Store, serving
from tests.agent.without_capture import options, running
from tests.telemetry import common, telemetry

CLIENTS, REPORTS_EACH = 12, 150


@pytest.fixture
def store() -> Iterator[tuple[Store, str]]:
    made = Store([])
    with serving(made) as url:
        yield made, url


def test_a_report_is_taken_while_the_spool_asks_for_the_ledger(
    store: tuple[Store, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.settings(parser().parse_args(options(store[1], tmp_path)))
    run = Run(settings, Policy(), Deadline())
    asked, taken = threading.Event(), threading.Event()
    totals = run._reports.totals

    def held() -> dict[str, dict[str, int]]:
        if threading.current_thread().name == "spool" and not asked.is_set():
            asked.set()
            taken.wait(PATIENCE_S)
        return totals()

    def report() -> None:
        run._reports.accept(telemetry())
        taken.set()

    monkeypatch.setattr(run._reports, "totals", held)
    run._shipper.start()
    run._reports.accept(telemetry())
    assert asked.wait(PATIENCE_S), "the spool never wrote"
    threading.Thread(target=report, daemon=True).start()
    assert taken.wait(PATIENCE_S), "the report and the spool wait for each other"
    assert run._shipper.close(PATIENCE_S) == 0
    run._status.close()
    assert run._gateways is not None
    run._gateways.close()


def posted(url: str, report: bytes) -> int:
    """The status of one report, sent over its own connection."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    try:
        connection.request("POST", parts.path, report)
        return connection.getresponse().status
    finally:
        connection.close()


def test_twelve_gateways_at_once_lose_no_report(store: tuple[Store, str], tmp_path: Path) -> None:
    pets = json.dumps([{"id": number, "name": f"pet {number}"} for number in range(200)]).encode()
    report = telemetry(answered=common(pets, Content_Type="application/json"))

    def send(url: str) -> list[int]:
        return [posted(url, report) for _ in range(REPORTS_EACH)]

    with running("agent", store[1], tmp_path) as agent:
        with ThreadPoolExecutor(CLIENTS) as gateways:
            answers = [
                status for found in gateways.map(send, [agent.telemetry] * CLIENTS) for status in found
            ]
        assert agent.end() == 0, agent.said
    assert answers == [200] * (CLIENTS * REPORTS_EACH)
    assert sum(len(records) for records in store[0].stored.values()) == CLIENTS * REPORTS_EACH
