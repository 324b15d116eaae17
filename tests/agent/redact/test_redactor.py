"""The record's fields around the messages: identity, times, and states from the parser."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agent.events import ConnectionKey
from agent.http.messages import Completeness, Exchange
from agent.redact.key import KEY_BYTES, KeyFileError, load_or_create
from agent.redact.redactor import Provenance
from agent.wire import Timing
from tests.agent.redact.redaction import KEY, POLICY, PROVENANCE, exchange, request, response, to_record

ONE = exchange(request(), response())


def _id(one: Exchange = ONE, provenance: Provenance = PROVENANCE) -> str:
    return to_record(one, provenance, POLICY, KEY).id


def test_the_same_exchange_gives_the_same_record() -> None:
    assert to_record(ONE, PROVENANCE, POLICY, KEY) == to_record(ONE, PROVENANCE, POLICY, KEY)


def test_everything_that_tells_exchanges_apart_changes_the_id() -> None:
    key = PROVENANCE.connection
    others = [
        _id(replace(ONE, ordinal=1)),
        _id(provenance=replace(PROVENANCE, agent="agent-2")),
        _id(provenance=replace(PROVENANCE, boot_id="boot-2")),
        _id(provenance=replace(PROVENANCE, side="client")),
        *(
            _id(provenance=replace(PROVENANCE, connection=connection))
            for connection in (
                replace(key, source="openssl"),
                replace(key, address=1),
                replace(key, generation=1),
                replace(key, pid=1),
            )
        ),
    ]
    assert len({_id(), *others}) == 9
    assert len(bytes.fromhex(_id())) == 16
    assert _id(replace(ONE, completeness=Completeness.TRUNCATED)) == _id()


def test_the_kernels_address_does_not_leave() -> None:
    key = ConnectionKey("socket", 0xFFFF8881DEADBEEF, 1)
    one = to_record(ONE, replace(PROVENANCE, connection=key), POLICY, KEY)
    assert "deadbeef" not in one.connection
    assert (
        one.connection
        == to_record(replace(ONE, ordinal=1), replace(PROVENANCE, connection=key), POLICY, KEY).connection
    )


def test_times_are_wall_clock_and_absent_ones_stay_absent() -> None:
    one = to_record(ONE, PROVENANCE, POLICY, KEY)
    assert (one.time, one.monotonic) == (1005, 5)
    assert one.timing == Timing(1005, 1006, 1007, 1008)
    late = to_record(exchange(None, response()), PROVENANCE, POLICY, KEY)
    assert (late.time, late.timing) == (1007, Timing(None, None, 1007, 1008))
    neither = to_record(exchange(None), replace(PROVENANCE, seen_ns=9), POLICY, KEY)
    assert (neither.time, neither.timing) == (1009, Timing(None, None, None, None))


def test_tls_makes_the_scheme() -> None:
    plain, coded = PROVENANCE, replace(PROVENANCE, tls="openssl")
    for provenance, scheme in ((plain, "http"), (coded, "https")):
        asked = to_record(ONE, provenance, POLICY, KEY).request
        assert asked is not None
        assert asked.scheme == scheme


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("request without Host", "request without Host"),
        ("illegal header line: bytearray(b'x: secret')", "illegal header"),
        ("illegal request line", "illegal request line"),
        ("bad Content-Length", "illegal Content-Length"),
        ("illegal chunk header: b'secret'", "illegal chunk"),
        ("secret", "malformed"),
        (None, None),
    ],
)
def test_a_parsers_words_become_one_of_our_own(said: str | None, kept: str | None) -> None:
    assert to_record(exchange(None, None, error=said), PROVENANCE, POLICY, KEY).error == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [(b"websocket", "websocket"), (b"h2c", "h2c"), (b"CONNECT", "connect"), (b"s3cret", "other")],
)
def test_only_known_protocols_are_named(said: bytes, kept: str) -> None:
    assert to_record(exchange(request(), None, upgraded=said), PROVENANCE, POLICY, KEY).upgraded == kept


@pytest.mark.parametrize(
    ("method", "kept"),
    [(b"GET", "GET"), (b"M-SEARCH", "M-SEARCH"), (b"get", "get"), (b"a.b.c", "OTHER"), (b"", "OTHER")],
)
def test_a_method_is_a_word(method: bytes, kept: str) -> None:
    asked = to_record(exchange(request(method=method)), PROVENANCE, POLICY, KEY).request
    assert asked is not None
    assert asked.method == kept


# The key


def test_a_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    key = load_or_create(path)
    assert len(key) == KEY_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create(path) == key
    assert list(path.parent.iterdir()) == [path]
    assert load_or_create(tmp_path / "other") != key


def test_who_comes_second_takes_the_first_ones_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    link = os.link

    def late(source: Path, target: Path) -> None:
        path.write_bytes(KEY)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert load_or_create(path) == KEY
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("held", [b"", b"short", bytes(33)])
def test_a_key_of_the_wrong_size_is_refused_with_the_cure(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(held)
    with pytest.raises(KeyFileError, match=r"exactly 32 bytes; remove"):
        load_or_create(path)
    assert path.read_bytes() == held


def test_a_key_that_cannot_be_read_or_made_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot read"):
        load_or_create(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match=r"cannot (read|create)"):
        load_or_create(tmp_path / "file" / "key")
