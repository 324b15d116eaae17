"""A view becomes a record with identities, or is counted; nothing in between."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from agent import wire
from agent.events import PACKET, Clock, ConnectionKey, Role
from agent.http.messages import (
    EMPTY_BODY,
    Body,
    BodyState,
    Completeness,
    Exchange,
    Request,
    Response,
    WebSocketCounts,
    WebSocketMessage,
    WebSocketSeen,
)
from agent.ledger import Exchanges, Ledger, Steps
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.sources.reported import Reported
from agent.streams.conversation import ConnectionInfo
from agent.views import Origin, Redaction, Settled, packed
from agent.wire import Endpoint, Record

LOCAL, PEER = Endpoint("10.0.0.1", 1000, 7), Endpoint("10.0.0.2", 80, None)
REQUEST = Request(b"GET", b"/a", b"1.1", ((b"host", b"h"),), (), EMPTY_BODY, 5, 6)
EXCHANGE = Exchange(0, REQUEST, None, Completeness.NO_RESPONSE)


def settled(role: Role | None, source: str = "socket", clock: Clock | None = None) -> Settled:
    connection = ConnectionInfo(ConnectionKey(source, 1, 1), 9, None, None, role)
    return Settled(connection, EXCHANGE, LOCAL, PEER, None, clock, 7)


def record(view: Settled | Reported) -> Record:
    made = Redaction(Origin("a", "n", "c"), Redactor(Policy(), b"k" * 32), Ledger()).record(view)
    assert made is not None
    assert (made.agent, made.node, made.cluster) == ("a", "n", "c")
    return made


@pytest.mark.parametrize(
    ("role", "side", "client", "server"),
    [
        (Role.CLIENT, "client", LOCAL, PEER),
        (Role.SERVER, "server", PEER, LOCAL),
        (None, "unknown", None, None),
    ],
)
def test_the_role_says_which_end_is_which(
    role: Role | None, side: str, client: Endpoint | None, server: Endpoint | None
) -> None:
    made = record(settled(role))
    assert (made.side, made.client, made.server) == (side, client, server)


def test_packets_are_no_ends_view_and_only_libraries_are_tls() -> None:
    captured, socket, library = (record(settled(Role.CLIENT, name)) for name in (PACKET, "socket", "openssl"))
    assert (captured.side, captured.client, captured.tls) == ("unknown", LOCAL, None)
    assert (socket.tls, library.tls) == (None, "openssl")


def test_times_are_the_walls_once_the_source_has_said_how_its_own_relate_to_it() -> None:
    assert record(settled(Role.CLIENT)).time == 5
    told = record(settled(Role.CLIENT, clock=Clock(1000, "boot")))
    assert (told.time, told.monotonic) == (1005, 5)


def test_bodies_that_are_not_kept_are_counted_and_their_sizes_stay() -> None:
    ledger = Ledger()
    redaction = Redaction(Origin("a", "n", "c"), Redactor(Policy(), b"k" * 32), ledger)
    redaction.bodies = False
    headers = ((b"content-type", b"application/json"),)
    body = Body(7, b'{"a":1}', BodyState.COMPLETE)
    answer = Response(200, b"1.1", headers, (), body, 7, 8, ())
    view = settled(Role.CLIENT)
    made = redaction.record(replace(view, exchange=replace(EXCHANGE, response=answer)))
    assert made is not None
    assert made.response is not None
    assert made.request is not None
    assert made.response.body == wire.Body(7, None, "unseen")
    assert made.request.body == wire.Body(0, b"", "complete")
    assert redaction.record(view) is not None
    assert ledger.steps == {Steps.BODIES_LEFT_OUT: 1}


def test_texts_of_websocket_are_left_out_as_bodies_are_and_counts_stay() -> None:
    ledger = Ledger()
    redaction = Redaction(Origin("a", "n", "c"), Redactor(Policy(), b"k" * 32), ledger)
    counts = WebSocketCounts(1, 1, 0, 0, 0, 0, 2, 0)
    seen = WebSocketSeen(counts, counts, 1000, None, 9, (WebSocketMessage(Role.CLIENT, b"{}", 8),))
    view = replace(settled(Role.CLIENT), exchange=replace(EXCHANGE, websocket=seen))
    for kept in (True, False):
        redaction.bodies = kept
        made = redaction.record(view)
        assert made is not None
        assert made.websocket is not None
        assert (made.websocket.client.text, len(made.websocket.texts)) == (1, kept)
    assert ledger.steps == {Steps.BODIES_LEFT_OUT: 1}


@pytest.mark.parametrize(
    "view", [settled(Role.CLIENT), Reported(EXCHANGE, ConnectionKey("har", 1, 1), "client")]
)
def test_what_cannot_be_redacted_is_counted_whoever_saw_it(
    view: Settled | Reported, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Record:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(Redactor, "record", broken)
    ledger = Ledger()
    assert Redaction(Origin("a", "n", None), Redactor(Policy(), b"k" * 32), ledger).record(view) is None
    assert ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.REDACTION_FAILED: 1}
    assert "s3cret" not in caplog.text


def test_what_cannot_be_packed_is_counted_and_the_next_record_is_packed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger()
    record = Redaction(Origin("a", "n", None), Redactor(Policy(), b"k" * 32), ledger).record(
        settled(Role.CLIENT)
    )
    assert record is not None
    too_large = msgspec.structs.replace(record, node="s3cret", stream=1 << 70)
    assert packed(too_large, ledger) is None
    assert ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.PACKING_FAILED: 1}
    assert "s3cret" not in caplog.text
    assert packed(record, ledger) == wire.pack_record(record)
