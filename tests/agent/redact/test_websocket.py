"""Texts of WebSocket connections: no secret of any class is in the record, whole JSON documents are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import wire
from agent.events import Role
from agent.http.messages import WebSocketCounts, WebSocketMessage, WebSocketSeen
from tests.agent.redact.redaction import KEY, POLICY, PROVENANCE, exchange, request, response, to_record
from tests.e2e.needles import found_in
from tests.leaks import by_class
from tests.secret_bodies import CLASSES

SECRET = "Trombone-Parapet-8814"
HALF = WebSocketCounts(9, 8, 7, 6, 5, 4, 3, 2)


def shown(texts: Iterable[bytes], **changed: Any) -> wire.Record:
    """The record of a connection with these texts, alternately of the client and the server."""
    ends = (Role.CLIENT, Role.SERVER)
    kept = tuple(WebSocketMessage(ends[at % 2], text, 10 + at) for at, text in enumerate(texts))
    found = replace(WebSocketSeen(HALF, HALF, 1000, Role.SERVER, 20, kept), **changed)
    one = exchange(request(), response(), websocket=found, upgraded=b"websocket")
    return to_record(one, PROVENANCE, POLICY, KEY)


def data(record: wire.Record) -> list[bytes]:
    assert record.websocket is not None
    return [text.data for text in record.websocket.texts]


def test_no_secret_of_any_class_is_in_a_text_of_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    leaked, kinds = [], []
    for kind, documents in CLASSES.items():
        for name, document in documents.items():
            text = json.dumps(document(SECRET)).encode()
            kinds.append(kind)
            assert SECRET.encode() in text
            packed = wire.pack_record(shown([text, text]))
            if found_in({name: SECRET.encode()}, {name: packed}):
                leaked.append(kind)
    with capsys.disabled():
        sys.stdout.write("\n" + by_class(kinds, leaked) + "\n")
    assert leaked == []


@pytest.mark.parametrize(
    "text",
    [
        b'{"password": "' + SECRET.encode(),  # cut
        b'{"a": 1} the password is ' + SECRET.encode(),
        b'{"password": Trombone-Parapet-8814}',
        b'{"a": "\xff", "password": "Trombone-Parapet-8814"}',
        b"[Trombone-Parapet-8814]",
    ],
)
def test_a_text_that_is_not_one_json_document_is_left_out(text: bytes) -> None:
    record = shown([text, b'{"a": 1}'])
    assert data(record) == [b'{"a": 1}']
    assert SECRET.encode() not in wire.pack_record(record)


def test_what_is_no_secret_is_kept_with_who_sent_it_and_when() -> None:
    record = shown([b'{"password": "Trombone-Parapet-8814", "n": 1}', b'[{"colour": "red"}]'])
    assert record.websocket is not None
    first, second = record.websocket.texts
    assert json.loads(first.data)["n"] == 1
    assert second == wire.WebSocketText("server", b'[{"colour": "red"}]', 11 + PROVENANCE.offset_ns)
    assert sum(record.redactions.values()) >= 1
    assert record.masks == ()  # their places are no message's of HTTP


def test_counts_close_code_and_times_are_the_connections() -> None:
    half = wire.WebSocketHalf(9, 8, 7, 6, 5, 4, 3, 2)
    assert shown([]).websocket == wire.WebSocket(half, half, 1000, "server", 20 + PROVENANCE.offset_ns)
    assert shown([], end_ns=None, closed_by=None).websocket == wire.WebSocket(half, half, 1000, None, None)


@given(st.lists(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=4))
def test_any_text_is_json_in_the_record_or_not_there(texts: list[bytes]) -> None:
    for text in data(shown(texts)):
        json.loads(text)
