"""The shipper with a real server that is away, slow, wrong or refusing."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.ship.post import Answer, answer_of
from agent.ship.shipper import ShipLimits, Shipper, SpoolConfig
from agent.wire import Capture, CaptureScope
from tests.agent.ship.stores import (
    PATIENCE_S,
    QUICK,
    Reply,
    Store,
    packed,
    refusing,
    serving,
    shipper,
    status,
    totals,
)


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SpoolConfig | None:
    """Where records wait. The tests hold for either place."""
    return None if request.param == "memory" else SpoolConfig(tmp_path / "spool.db", 1 << 26, 3600)


def test_every_record_arrives_once_and_is_counted_as_shipped(place: SpoolConfig | None) -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        for number in range(2000):
            ship.offer(packed(number))
        assert ship.close(PATIENCE_S) == 0
    assert store.records() == Counter(range(2000))
    assert totals(ship) == {"shipped": 2000}
    assert [seq for seq, _ in store.posts] == list(range(1, len(store.posts) + 1))
    assert all(headers["content-type"] == "application/msgpack" for headers in store.headers)


def test_the_last_batch_carries_the_final_ledger(place: SpoolConfig | None) -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        ship.offer(packed(7))
        ship.close(PATIENCE_S)
    assert store.ledgers[-1]["exchanges"] == {"parsed": 1, "shipped": 1}


def test_an_idle_agent_still_sends_its_ledger() -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, ShipLimits(heartbeat_s=0.01))
        ship.start()
        store.wait(lambda: len(store.ledgers) >= 2)
        ship.close(PATIENCE_S)
    assert store.records() == Counter()


def test_every_batch_carries_the_state_of_capture_and_news_of_it_waits_for_no_heartbeat() -> None:
    store, state = Store([]), [Capture(CaptureScope.NOTHING)]
    with serving(store) as url:
        ship = Shipper(url, None, "agent-1", "epoch-1", dict, QUICK, capture=lambda: state[-1])
        ship.start()
        state.append(Capture(CaptureScope.EVERYTHING, 7))
        ship.capture_started(0)
        store.wait(lambda: {"watching": "everything", "lag_ms": 7} in store.captures)
        state.append(Capture(CaptureScope.NOTHING))
        ship.close(PATIENCE_S)
    assert store.captures[-1] == {"watching": "nothing", "lag_ms": None}


def test_records_wait_until_the_server_has_acknowledged_them(place: SpoolConfig | None) -> None:
    store, answers = Store([]), threading.Event()
    store.always = lambda batch: None if answers.is_set() else (503, b"no")
    with serving(store) as url:
        ship = shipper(url, place=place)
        assert ship.waited_s() == 0
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: len(store.posts) > 2)
        earlier = ship.waited_s()
        ship.offer(packed(2))
        store.wait(lambda: len(store.posts) > 4)
        assert ship.waited_s() > earlier > 0
        assert ship.queued_s() == 0  # the server is the cause
        answers.set()
        store.wait(lambda: sum(store.records().values()) == 2)
        ship.close(PATIENCE_S)
        assert ship.waited_s() == 0


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(status(503), id="503"),
        pytest.param(status(429), id="429"),
        pytest.param(status(500), id="500"),
        pytest.param(status(200, b"<html>captive portal</html>"), id="html"),
        pytest.param(status(200, b"[]"), id="list"),
        pytest.param(status(200, b'{"acked": 999}'), id="another seq"),
        pytest.param(status(200, b'{"acked": true}'), id="not a number"),
        pytest.param(status(200, b"\xff" * 200_000), id="endless garbage"),
        pytest.param(status(401), id="401"),
        pytest.param(status(403), id="403"),
        pytest.param(status(404), id="404"),
        pytest.param(status(408), id="408"),
        pytest.param(status(301), id="301"),
    ],
)
@pytest.mark.parametrize("commit_first", [False, True])
def test_a_batch_is_retried_with_the_same_seq_and_bytes_until_it_is_acknowledged(
    spoilt: Callable[[dict[str, Any]], Reply], commit_first: bool, place: SpoolConfig | None
) -> None:
    store = Store([spoilt, spoilt, spoilt], commit_first)
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        for number in range(10):
            ship.offer(packed(number))
        store.wait(lambda: len(store.posts) > 3)
        ship.close(PATIENCE_S)
    assert len(set(store.posts[:4])) == 1
    assert store.records() == Counter(range(10))
    assert totals(ship) == {"shipped": 10}


def test_a_server_that_is_away_at_first_gets_everything_once(place: SpoolConfig | None) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    ship = shipper(f"http://127.0.0.1:{port}", place=place)
    ship.start()
    for number in range(100):
        ship.offer(packed(number))
    store = Store([])
    with serving(store, port):
        store.wait(lambda: sum(store.records().values()) == 100)
        ship.close(PATIENCE_S)
    assert store.records() == Counter(range(100))
    assert totals(ship) == {"shipped": 100}


def test_only_the_refused_record_is_lost_and_it_is_counted(place: SpoolConfig | None) -> None:
    store = Store([])
    store.always = refusing(13)
    with serving(store) as url:
        ship = shipper(url, place=place)
        for number in range(40):
            ship.offer(packed(number))
        ship.start()
        ship.close(PATIENCE_S)
    assert store.records() == Counter(number for number in range(40) if number != 13)
    assert totals(ship) == {"shipped": 39, "refused": 1}


def test_where_even_an_empty_batch_is_refused_records_are_kept_for_the_upgraded_server(
    place: SpoolConfig | None,
) -> None:
    store = Store([])
    store.always = status(400)
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        for number in range(10):
            ship.offer(packed(number))
        store.wait(lambda: len(store.posts) > 8)
        assert totals(ship) == {"in_flight": 10}
        store.always = lambda batch: None
        ship.close(PATIENCE_S)
    assert store.records() == Counter(range(10))
    assert totals(ship) == {"shipped": 10}


def test_when_the_queue_is_full_the_oldest_is_dropped_and_counted() -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, ShipLimits(queue_bytes=100, flush_s=0.01))
        for number in range(120):  # one byte each
            ship.offer(packed(number))
        ship.offer(b"x" * 101)  # never fits
        ship.start()
        ship.close(PATIENCE_S)
    assert store.records() == Counter(range(20, 120))
    assert totals(ship) == {"queue_full": 21, "shipped": 100}


def test_closing_while_the_server_is_away_ends_at_the_deadline_and_counts_the_rest() -> None:
    with socket.socket() as deaf:  # accepts by backlog, never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        ship = shipper(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        ship.start()
        for number in range(1200):
            ship.offer(packed(number))
        assert ship.close(0.2) == 1200
        assert ship.close(0.2) == 0
    assert totals(ship) == {"unsent_at_exit": 1200}
    ship.offer(packed(1))
    assert totals(ship) == {"unsent_at_exit": 1201}
    ship._thread.join(PATIENCE_S)


def test_an_acknowledgement_after_the_deadline_does_not_count_a_record_twice() -> None:
    late = threading.Event()

    def slow(batch: dict[str, Any]) -> None:
        late.wait(PATIENCE_S)

    store = Store([slow])
    with serving(store) as url:
        ship = shipper(url)
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: len(store.posts) == 1)
        assert ship.close(0.01) == 1
        late.set()
        ship._thread.join(PATIENCE_S)
    assert totals(ship) == {"unsent_at_exit": 1}


def test_the_token_goes_along_and_neither_it_nor_user_info_is_ever_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "agent")
    store = Store([status(401), status(401), status(401)])
    with serving(store) as url:
        ship = shipper(url.replace("http://", "http://user:hunter2@"), token="s3cret-token")
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: bool(store.stored))
        ship.close(PATIENCE_S)
    assert {headers["authorization"] for headers in store.headers} == {"Bearer s3cret-token"}
    sentences = [record.getMessage() for record in caplog.records if record.name.startswith("agent")]
    assert len(sentences) == 2, sentences
    assert "--token-file" in sentences[0]
    assert "accepts records again" in sentences[1]
    assert "hunter2" not in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(("say_after_s", "sentences"), [(0.0, 2), (3600.0, 0)])
def test_trouble_that_passes_soon_is_not_worth_a_line(
    say_after_s: float, sentences: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agent")
    store = Store([status(503)])
    with serving(store) as url:
        ship = shipper(url, replace(QUICK, say_after_s=say_after_s))
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: bool(store.stored))
        ship.close(PATIENCE_S)
    assert len([record for record in caplog.records if record.name.startswith("agent")]) == sentences


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b"[" * 100_000, b'{"acked": 1e999}', b'{"acked": 1.0}']
)
def test_only_the_right_number_is_an_acknowledgement(body: bytes) -> None:
    assert answer_of(200, body, 1) is Answer.LATER
    assert answer_of(200, b'{"acked": 1}', 1) is Answer.STORED


def test_a_server_without_zstd_gets_plain_batches_under_the_same_numbers(place: SpoolConfig | None) -> None:
    def knows_identity(batch: dict[str, Any]) -> Reply | None:
        return (415, b"no") if "content-encoding" in store.headers[-1] else None

    store = Store([])
    store.always = knows_identity
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        for number in range(1000):
            ship.offer(packed(number))
        assert ship.close(PATIENCE_S) == 0
    assert store.records() == Counter(range(1000))
    assert totals(ship) == {"shipped": 1000}
    assert store.posts[0] == store.posts[1]
    assert ["content-encoding" in headers for headers in store.headers].count(True) == 1


def test_a_server_that_takes_no_batch_in_any_coding_is_tried_again_without_losing_records() -> None:
    store = Store([status(415), status(415), status(415)])
    with serving(store) as url:
        ship = shipper(url)
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: bool(store.stored))
        ship.close(PATIENCE_S)
    assert store.records() == Counter([1])
