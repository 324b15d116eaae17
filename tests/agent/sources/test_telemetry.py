"""Telemetry of gateway plugins is read as exchanges, with the fields that each plugin omits."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.messages import EMPTY_BODY, BodyState, Completeness
from agent.sources import telemetry as reader
from agent.sources.reported import CutShort, Entry, Reported, UnreadableEntry
from agent.wire import Endpoint
from tests.agent.sources.values import VALUES
from tests.telemetry import common, telemetry

NOW = 1_772_366_400_250_000_000
WRITTEN = 1_772_400_000_000_000_000


def entries(raw: bytes) -> list[Entry]:
    return list(reader.entries(io.BytesIO(raw), WRITTEN))


def reported(raw: bytes, now_ns: int = 0) -> Reported:
    return reader.reported(raw, 0, now_ns)


def test_an_object_is_an_exchange_with_both_ends() -> None:
    (one,) = entries(telemetry())
    assert isinstance(one, Reported)
    request, response = one.exchange.request, one.exchange.response
    assert request is not None
    assert response is not None
    assert (request.method, request.target, request.authority) == (
        b"GET",
        b"/pets/7?full=true",
        b"shop.example",
    )
    assert (request.scheme, request.start_ns) == (b"https", NOW)
    assert request.headers == ((b"host", b"shop.example"), (b"user-agent", b"curl/8"))
    assert (response.status, response.body.data) == (200, b'{"id": 7}')
    assert one.client == Endpoint("10.0.0.7", 51000)
    assert one.server == Endpoint("10.0.0.9", 8080, namespace="shop")
    assert one.exchange.completeness is Completeness.COMPLETE


@pytest.mark.parametrize(
    ("address", "end"),
    [
        ("10.0.0.9:8080", Endpoint("10.0.0.9", 8080)),
        ("[fd00::1]:80", Endpoint("fd00::1", 80)),
        ("fd00::1", Endpoint("fd00::1", 0)),
        ("10.0.0.9:", Endpoint("10.0.0.9", 0)),
        ("10.0.0.9", Endpoint("10.0.0.9", 0)),
        ("10.0.0.9:99999", Endpoint("10.0.0.9", 0)),
        (":8080", None),
        ("", None),
        ("orders:8080", None),
    ],
)
def test_addresses_as_plugins_write_them(address: str, end: Endpoint | None) -> None:
    assert reported(telemetry(sourceAddress=address)).client == end


@pytest.mark.parametrize(
    ("written", "version"),
    [("HTTP/1.1", b"1.1"), ("1.100000", b"1.1"), ("2", b"2"), ("HTTP/2.0", b"2"), ("", b"1.1")],
)
def test_versions_as_plugins_write_them(written: str, version: bytes) -> None:
    request = reported(telemetry(asked={**common(), "version": written})).exchange.request
    assert request is not None
    assert request.version == version


def test_a_time_that_is_not_told_is_that_of_arrival_or_of_the_file() -> None:
    untimed = telemetry(asked={**common(), "time": 0}, answered={**common(), "time": None})
    (one,) = entries(untimed)
    assert isinstance(one, Reported)
    for found, moment in ((reported(untimed, 5), 5), (one, WRITTEN)):
        assert found.exchange.request is not None
        assert (found.exchange.request.start_ns, found.timed) == (moment, False)
    assert reported(telemetry()).timed


@pytest.mark.parametrize("raw", [b"%s\n%s\n", b"[%s,\n%s]", b"\xef\xbb\xbf[%s,%s]", b"\n\n%s%s"])
def test_objects_over_several_lines_are_read(raw: bytes) -> None:
    pretty = json.dumps(json.loads(telemetry()), indent=2).encode()
    assert [type(one) for one in entries(raw % (pretty, pretty))] == [Reported, Reported]


def test_what_is_broken_among_objects_over_several_lines_is_named() -> None:
    pretty = json.dumps(json.loads(telemetry()), indent=2).encode()
    found = entries(b"[" + pretty + b', 7, {"request": }]')
    assert found[1:] == [
        UnreadableEntry("object 2", "not a JSON object"),
        UnreadableEntry("object 3", "not JSON"),
    ]


def test_a_truncated_body_is_one_and_an_absent_one_is_empty() -> None:
    found = reported(telemetry(answered=common(b'{"id', cut=True))).exchange
    assert found.response is not None
    assert (found.response.body.size, found.response.body.state) == (None, BodyState.TRUNCATED)
    assert found.completeness is Completeness.TRUNCATED
    assert found.request is not None
    assert found.request.body == EMPTY_BODY


def without(side: dict[str, Any], **headers: str) -> dict[str, Any]:
    left = {**side, **common(b"", False, **headers)}
    del left["body"]
    return left


@pytest.mark.parametrize(
    ("method", "answered", "seen"),
    [
        ("GET", without({}), BodyState.UNSEEN),
        ("GET", without({}, Content_Length="0"), BodyState.COMPLETE),
        ("GET", common(Content_Length="7"), BodyState.UNSEEN),
        ("GET", common(), BodyState.COMPLETE),
        ("HEAD", without({}), BodyState.COMPLETE),
    ],
)
def test_a_body_that_the_plugin_left_out_is_unseen(method: str, answered: Any, seen: BodyState) -> None:
    found = reported(telemetry(method, asked=without({}), answered=answered)).exchange
    assert found.request is not None
    assert found.response is not None
    assert (found.request.body, found.response.body.state) == (EMPTY_BODY, seen)


def test_a_body_may_be_a_text_as_it_is() -> None:
    found = reported(telemetry(answered={**common(), "body": '{"id": 7}'})).exchange
    assert found.response is not None
    assert (found.response.body.data, found.response.body.state) == (b'{"id": 7}', BodyState.COMPLETE)


def test_bodies_are_still_coded() -> None:
    found = reported(telemetry(answered=common(gzip.compress(b"{}"), Content_Encoding="gzip"))).exchange
    assert found.response is not None
    assert found.response.body.coded


def test_a_body_that_is_not_base64_spoils_no_more_than_itself() -> None:
    request = reported(telemetry(asked={**common(), "body": "x"})).exchange.request
    assert request is not None
    assert (request.body.data, request.body.state) == (b"", BodyState.UNDECODABLE)


def test_no_status_is_no_response() -> None:
    found = reported(telemetry(response={"statusCode": ""})).exchange
    assert (found.response, found.completeness) == (None, Completeness.NO_RESPONSE)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"nonsense", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no request method or no path"),
        (telemetry(response={"statusCode": "abc"}), "a status code that is none"),
    ],
)
def test_a_broken_line_is_named(raw: bytes, reason: str) -> None:
    found = entries(telemetry() + b"\n" + raw + b"\n" + telemetry())
    assert [type(one) for one in found] == [Reported, UnreadableEntry, Reported]
    assert found[1] == UnreadableEntry("line 2", reason)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_exchanges_or_broken_and_never_an_exception(raw: bytes) -> None:
    assert all(isinstance(one, (Reported, UnreadableEntry, CutShort)) for one in entries(raw))


@settings(deadline=None)
@given(st.data())
def test_any_value_anywhere_is_an_exchange_or_broken_and_never_an_exception(data: st.DataObject) -> None:
    whole: Any = json.loads(telemetry())
    place = data.draw(
        st.sampled_from([whole, whole["request"], whole["response"], whole["request"]["common"]])
    )
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
    assert len(entries(json.dumps(whole).encode())) == 1
