"""The whole agent, from a list of events to records, without kernel, clock or /proc."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from agent import pipeline
from agent.events import (
    Address,
    Chunk,
    Clock,
    Closed,
    ConnectionKey,
    Direction,
    Event,
    Lost,
    Opened,
    ProcessGone,
    ProcessSeen,
    Role,
    Tick,
)
from agent.ledger import Bytes, Exchanges, Kernel, Ledger, PartlySeen
from agent.pipeline import TURN, Pipeline, turns
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits
from agent.views import Origin
from agent.wire import Record, pack_record

KEY = ConnectionKey("socket", 0xFFFF, 1)
CLIENT, SERVER = Address("10.0.0.2", 51000, 7), Address("10.0.0.1", 8080, 7)
REQUEST = b"GET /pets/7?token=s3cret HTTP/1.1\r\nHost: pets\r\nAuthorization: Bearer s3cret\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OFFSET = 1_000_000_000_000


def chunk(time_ns: int, direction: Direction, data: bytes, role: Role | None = Role.SERVER) -> Chunk:
    return Chunk(time_ns, KEY, direction, 0, len(data), data, 42, SERVER, CLIENT, role, True)


EVENTS: tuple[Event, ...] = (
    Clock(OFFSET, "boot"),
    ProcessSeen(1, 42, 9, "petd", "/usr/bin/petd", "/system.slice/petd.service"),
    Opened(2, KEY, SERVER, CLIENT, Role.SERVER),
    chunk(10, Direction.RECEIVED, REQUEST),
    chunk(20, Direction.SENT, RESPONSE),
    Tick(21),
    Closed(30, KEY),
    ProcessGone(31, 42),
)


REDACTOR = Redactor(Policy(), b"k" * 32)


def records(events: Iterable[Event], ledger: Ledger | None = None) -> list[Record]:
    made = Pipeline(
        Origin("agent-1", "node-1", None),
        Policy(),
        REDACTOR,
        ledger or Ledger(),
        Limits(),
    )
    found = [record for event in events for record in made.process(event).records]
    return found + made.finish().records


def test_a_turn_ends_with_a_tick_or_when_it_is_long_enough() -> None:
    def events() -> Iterator[Event]:
        for number in range(TURN + 2):
            yield Closed(number, KEY)
        yield Tick(9)
        yield Closed(10, KEY)

    assert [len(turn) for turn in turns(events())] == [TURN, 3, 1]


def test_an_exchange_becomes_one_record_with_its_process_ends_and_wall_clock_times() -> None:
    ledger = Ledger()
    (record,) = records(EVENTS, ledger)
    assert record.request is not None
    assert record.response is not None
    assert (record.request.method, record.request.path, record.response.status) == ("GET", b"/pets/7", 200)
    assert record.process is not None
    assert (record.process.name, record.process.unit, record.process.boot_id) == (
        "petd",
        "petd.service",
        "boot",
    )
    assert record.client is not None
    assert record.server is not None
    assert (record.client.ip, record.client.port) == ("10.0.0.2", 51000)
    assert (record.server.ip, record.server.port, record.server.netns) == ("10.0.0.1", 8080, 7)
    assert record.client.netns is None  # may be another host's
    assert record.side == "server"
    assert (record.timing.request_start, record.timing.end) == (OFFSET + 10, OFFSET + 20)
    assert ledger.bytes[Bytes.SEEN] == ledger.bytes[Bytes.PARSED] == len(REQUEST) + len(RESPONSE)


def test_a_connection_from_before_capture_is_counted_once_by_its_programs_name() -> None:
    ledger = Ledger()
    made = Pipeline(Origin("agent-1", "node-1", None), Policy(), REDACTOR, ledger, Limits())
    made.process(*EVENTS)
    assert (made.older_connections, ledger.connections) == ({}, {})
    key = replace(KEY, address=KEY.address + 1)
    late = [replace(event, connection=key, from_start=False) for event in EVENTS if isinstance(event, Chunk)]
    above = [replace(event, connection=replace(key, source="openssl", pid=42)) for event in late]
    unknown = replace(late[0], connection=replace(key, generation=9), pid=7)
    made.process(*EVENTS[:2], *late, *above, unknown)
    assert made.older_connections == {"petd": 1, "(unknown)": 1}
    assert ledger.connections == {PartlySeen.OLDER: 2}


def test_names_of_programs_with_older_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_NAMES", 2)
    made = Pipeline(Origin("agent-1", "node-1", None), Policy(), REDACTOR, Ledger(), Limits())
    one = next(event for event in EVENTS if isinstance(event, Chunk))
    for pid in range(1, 6):
        key = replace(KEY, address=pid)
        seen = ProcessSeen(1, pid, 9, f"p{pid}", None, None)
        made.process(seen, replace(one, connection=key, pid=pid, from_start=False))
    assert made.older_connections == {"p1": 1, "p2": 1, "(other)": 3}


def test_times_follow_the_clock_when_it_is_set() -> None:
    second = replace(KEY, address=KEY.address + 1)
    later = [replace(event, connection=second) for event in EVENTS if isinstance(event, Chunk | Opened)]
    found = records([*EVENTS, Clock(2 * OFFSET, "boot"), *later])
    assert [record.timing.request_start for record in found] == [OFFSET + 10, 2 * OFFSET + 10]


def test_the_same_events_make_the_same_records_byte_for_byte() -> None:
    first, second = ([pack_record(record) for record in records(EVENTS)] for _ in range(2))
    assert first == second


def test_no_secret_is_in_what_leaves() -> None:
    assert b"s3cret" in REQUEST
    assert all(b"s3cret" not in pack_record(record) for record in records(EVENTS))


def test_ends_are_absent_where_nobody_knows_which_is_which() -> None:
    unknown = [
        Chunk(10, KEY, Direction.SENT, 0, len(REQUEST), REQUEST, 42, None, None, None, False),
        Chunk(20, KEY, Direction.RECEIVED, 0, len(RESPONSE), RESPONSE, 42, None, None, None, False),
    ]
    (record,) = records(unknown)
    assert record.client is None
    assert record.server is None
    assert record.side == "client"  # it sent the request
    assert record.process is None


def test_a_connection_that_is_not_http_is_dismissed_once() -> None:
    made = Pipeline(Origin("agent-1", "node-1", None), Policy(), REDACTOR, Ledger(), Limits())
    greeting = b"220 mail.test ESMTP\r\n"
    first = made.process(chunk(10, Direction.SENT, greeting), chunk(11, Direction.RECEIVED, b"EHLO a\r\n"))
    assert first.dismissed == [Dismissed(KEY, Bytes.NOT_HTTP)]
    assert made.process(Tick(12)).dismissed == made.finish().dismissed == []


def test_losses_that_no_chunk_shows_are_counted_under_their_names() -> None:
    ledger = Ledger()
    records(
        [Lost(1, Bytes.UNIX_SOCKET, 10), Lost(2, Kernel.RING_FULL, 3), Lost(3, Bytes.UNIX_SOCKET, 5)], ledger
    )
    assert ledger.bytes == {Bytes.SEEN: 15, Bytes.UNIX_SOCKET: 15}
    assert ledger.kernel[Kernel.RING_FULL] == 3


def test_what_cannot_be_redacted_does_not_leave_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Record:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(Redactor, "record", broken)
    ledger = Ledger()
    assert records(EVENTS, ledger) == []
    assert ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.REDACTION_FAILED: 1}
    assert "RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text
