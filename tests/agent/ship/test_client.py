"""The shipper against a real server that is away, slow, wrong or refusing."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zstandard

from agent.ship.client import Limits, Place, Shipper
from agent.ship.post import Answer, answer_of

QUICK = Limits(
    keep_s=0.01, flush_s=0.02, retry_first_s=0.01, retry_most_s=0.05, retry_slow_s=0.05, say_again_s=3600
)
PATIENCE_S = 30.0

Reply = tuple[int, bytes]


class Store:
    """A server that stores each (epoch, seq) once. `script` spoils answers in turn; then all is well.

    A script's entry gets the batch and may answer (status, body), or None for an honest answer. With
    `commit_first` the batch is stored before the answer is spoilt, as when an answer is lost.
    """

    def __init__(
        self, script: list[Callable[[dict[str, Any]], Reply | None]], commit_first: bool = False
    ) -> None:
        self.script = script
        self.commit_first = commit_first
        self.always: Callable[[dict[str, Any]], Reply | None] = lambda batch: None
        self.change = threading.Condition()
        self.posts: list[tuple[int, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.stored: dict[tuple[str, int], list[int]] = {}
        self.ledgers: list[dict[str, dict[str, int]]] = []
        self.epochs: list[str] = []  # of each

    def answer(self, raw: bytes) -> Reply:
        batch = msgpack.unpackb(raw)
        with self.change:
            self.posts.append((batch["seq"], raw))
            spoil = self.script.pop(0) if self.script else self.always
            self.change.notify_all()
        spoilt = spoil(batch)
        with self.change:
            if spoilt is None or self.commit_first:
                self.stored.setdefault((batch["epoch"], batch["seq"]), batch["records"])
                self.ledgers.append(batch["ledger"])
                self.epochs.append(batch["epoch"])
            self.change.notify_all()
        return spoilt or (200, json.dumps({"acked": batch["seq"]}).encode())

    def records(self) -> Counter[int]:
        return Counter(record for records in self.stored.values() for record in records)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.change:
            assert self.change.wait_for(condition, PATIENCE_S), f"posts so far: {len(self.posts)}"


def plain(body: bytes, headers: Message) -> bytes:
    """A request's body without its content coding."""
    if headers["content-encoding"] is None:
        return body
    assert headers["content-encoding"] == "zstd"
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        return reader.read()


@contextmanager
def serving(store: Store, port: int = 0) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/api/v1/records"
            store.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, body = store.answer(
                plain(self.rfile.read(int(self.headers["content-length"])), self.headers)
            )
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shipper(
    url: str,
    limits: Limits = QUICK,
    token: str | None = None,
    place: Place | None = None,
    epoch: str = "epoch-1",
) -> Shipper:
    made: list[Shipper] = []

    def view() -> dict[str, dict[str, int]]:
        return made[0].totals()

    made.append(Shipper(url, token, "agent-1", epoch, view, limits, place))
    return made[0]


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place | None:
    """Where records wait; what holds of the one holds of the other."""
    return None if request.param == "memory" else Place(tmp_path / "spool.db", 1 << 26, 3600)


def packed(number: int) -> bytes:
    raw: bytes = msgpack.packb(number)
    return raw


def status(code: int, body: bytes = b"no") -> Callable[[dict[str, Any]], Reply]:
    return lambda batch: (code, body)


def refusing(bad: int) -> Callable[[dict[str, Any]], Reply | None]:
    return lambda batch: (422, b"no") if bad in batch["records"] else None


def totals(ship: Shipper) -> dict[str, int]:
    return ship.totals()["exchanges"]


def test_every_record_arrives_once_and_is_counted_as_shipped(place: Place | None) -> None:
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


def test_the_last_batch_carries_the_final_ledger(place: Place | None) -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        ship.offer(packed(7))
        ship.close(PATIENCE_S)
    assert store.ledgers[-1]["exchanges"] == {"shipped": 1}


def test_an_idle_agent_still_sends_its_ledger() -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, Limits(heartbeat_s=0.01))
        ship.start()
        store.wait(lambda: len(store.ledgers) >= 2)
        ship.close(PATIENCE_S)
    assert store.records() == Counter()


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
    spoilt: Callable[[dict[str, Any]], Reply], commit_first: bool, place: Place | None
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


def test_a_server_that_is_away_at_first_gets_everything_once(place: Place | None) -> None:
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


def test_only_the_refused_record_is_lost_and_it_is_counted(place: Place | None) -> None:
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
    place: Place | None,
) -> None:
    store = Store([])
    store.always = status(400)
    with serving(store) as url:
        ship = shipper(url, place=place)
        ship.start()
        for number in range(10):
            ship.offer(packed(number))
        store.wait(lambda: len(store.posts) > 8)
        assert totals(ship) == {}
        store.always = lambda batch: None
        ship.close(PATIENCE_S)
    assert store.records() == Counter(range(10))
    assert totals(ship) == {"shipped": 10}


def test_when_the_queue_is_full_the_oldest_is_dropped_and_counted() -> None:
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, Limits(queue_bytes=100, flush_s=0.01))
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
    assert "takes records again" in sentences[1]
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


def test_a_server_without_zstd_gets_plain_batches_under_the_same_numbers(place: Place | None) -> None:
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


@pytest.fixture
def spool(tmp_path: Path) -> Place:
    return Place(tmp_path / "spool.db", 1 << 26, 3600)


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_what_could_not_be_sent_is_sent_by_the_next_start(spool: Place) -> None:
    first = shipper(nowhere(), place=spool)
    first.start()
    for number in range(1200):
        first.offer(packed(number))
    assert first.close(1.0) == 0
    assert totals(first) == {}
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        second.offer(packed(5000))
        assert second.close(PATIENCE_S) == 0
    assert store.records() == Counter([*range(1200), 5000])
    assert totals(second) == {"shipped": 1}
    ledgers = {epoch: ledger for epoch, ledger in zip(store.epochs, store.ledgers, strict=True)}
    assert ledgers["epoch-1"]["exchanges"] == {"shipped": 1200}
    assert ledgers["epoch-2"]["exchanges"] == {"shipped": 1}


def test_a_batch_whose_answer_was_lost_with_its_sender_keeps_its_number_and_bytes(spool: Place) -> None:
    store = Store([], commit_first=True)
    store.always = status(503)
    with serving(store) as url:
        first = shipper(url, place=spool)
        first.start()
        for number in range(30):
            first.offer(packed(number))
        store.wait(lambda: sum(store.records().values()) > 0)
        first.close(0.0)
        before = len(store.posts)
        store.always = lambda batch: None
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        assert second.close(PATIENCE_S) == 0
    assert store.posts[before] == store.posts[before - 1]
    assert store.records() == Counter(range(30))


def test_a_spool_that_cannot_be_used_is_said_once_and_memory_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agent")
    (tmp_path / "file").touch()
    store = Store([])
    with serving(store) as url:
        ship = shipper(
            url, replace(QUICK, keep_again_s=0.01), place=Place(tmp_path / "file" / "spool.db", 1, 1)
        )
        ship.start()
        for number in range(100):
            ship.offer(packed(number))
            store.wait(lambda: sum(store.records().values()) >= number)
        assert ship.close(PATIENCE_S) == 0
    assert store.records() == Counter(range(100))
    assert totals(ship) == {"shipped": 100}
    (said,) = [record.getMessage() for record in caplog.records if "spool" in record.getMessage()]
    assert "kept in memory until it can" in said


def test_once_the_disk_works_again_records_go_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent")
    folder = tmp_path / "folder"
    folder.touch()
    limits = replace(QUICK, keep_again_s=0.01)
    ship = shipper(nowhere(), limits, place=Place(folder / "spool.db", 1 << 26, 3600))
    ship.start()
    for number in range(100):
        ship.offer(packed(number))
    folder.unlink()
    with ship._change:
        assert ship._change.wait_for(lambda: ship._backlog._to_disk, PATIENCE_S)
    ship.offer(packed(100))
    lost = ship.close(0.5)
    assert lost <= 100  # the batch that was being sent from memory
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=Place(folder / "spool.db", 1 << 26, 3600), epoch="epoch-2")
        second.start()
        second.close(PATIENCE_S)
    assert sum(store.records().values()) == 101 - lost
    assert "the spool works again" in caplog.text


def test_where_the_disk_and_the_server_are_away_the_oldest_is_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    limits = replace(QUICK, queue_bytes=1000, batch_records=10)
    ship = shipper(nowhere(), limits, place=Place(tmp_path / "file" / "spool.db", 1, 1))
    for number in range(120):  # one byte each
        ship.offer(packed(number))
    ship.start()
    ship.offer(b"x" * 995)
    lost = ship.close(0.5)
    found = totals(ship)
    assert found["queue_full"] + found["unsent_at_exit"] == 121
    assert found["unsent_at_exit"] == lost > 0


def test_a_record_the_spool_did_not_give_back_is_counted_and_the_others_arrive(spool: Place) -> None:
    first = shipper(nowhere(), place=spool)
    first.start()
    for number in range(3):
        first.offer(packed(number))
    first.close(1.0)
    with sqlite3.connect(spool.file) as db:
        db.execute("UPDATE parcels SET frame = x'00', number = 1, records = 3 WHERE number = 1")
    db.close()
    store = Store([])
    store.always = lambda batch: None
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        second.offer(packed(9))
        second.close(PATIENCE_S)
    assert store.records() == Counter([9])
    assert store.ledgers[store.epochs.index("epoch-1")]["exchanges"] == {"spool_unreadable": 3}
