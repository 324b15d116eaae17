"""JSON logs are read as exchanges: Redocly's NDJSON, Kong's, access logs of nginx and Apache."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.messages import EMPTY_BODY, Body, BodyState, Completeness, Request, Response
from agent.sources import logs
from agent.sources.formats import FORMATS, recognised
from agent.sources.reported import CutShort, Entry, Reported, UnreadableEntry
from agent.wire import Endpoint
from tests.agent.sources.values import VALUES

WRITTEN = 1_772_400_000_000_000_000
NOON = 1_772_366_400_000_000_000  # 2026-03-01T12:00:00Z
UNSEEN = Body(None, b"", BodyState.UNSEEN)
SAMPLES: dict[str, dict[str, Any]] = {
    "kong": {
        "started_at": NOON // 1_000_000,
        "client_ip": "10.0.0.7",
        "request": {
            "method": "POST",
            "uri": "/orders",
            "url": "https://api.example.com:8443/orders",
            "querystring": {"a": "1", "b": ["2", "3"]},
            "headers": {"host": "api.example.com", "accept": "*/*"},
            "size": 155,
        },
        "response": {"status": 201, "size": 64, "headers": {"content-type": "application/json"}},
        "route": {"id": "r1", "paths": ["/orders"]},
        "latencies": {"request": 44, "kong": 41, "proxy": 3},
    },
    "nginx": {
        "time_iso8601": "2026-03-01T13:00:00+01:00",
        "remote_addr": "10.0.0.7",
        "request_method": "GET",
        "request_uri": "/users?page=2",
        "server_protocol": "HTTP/1.1",
        "status": "200",
        "body_bytes_sent": "512",
        "request_time": "0.250",
        "http_user_agent": "curl/8",
        "http_referrer": "-",
        "host": "api.example.com",
        "scheme": "https",
    },
    "apache": {
        "time": "[01/Mar/2026:12:00:00 +0000]",
        "vhost": "api.example.com",
        "remoteIP": "10.0.0.7",
        "request": "GET /users HTTP/2.0",
        "query": "?page=2",
        "response_status": 200,
    },
    "ndjson": {
        "timestamp": "2026-03-01T12:00:00Z",
        "request": {
            "method": "PUT",
            "url": "http://u:p@api.example.com/users/7#top",
            "headers": {"Content-Type": "application/json", "X-Two": ["a", "b"]},
            "body": '{"name": "Ada"}',
        },
        "response": {"status": 200, "headers": [{"name": "X", "value": "y"}], "body": {"id": 7}},
    },
}


def entries(name: str, raw: bytes) -> list[Entry]:
    return list(logs.entries(name, io.BytesIO(raw), WRITTEN))


def read(name: str, sample: Any = None) -> tuple[Reported, Request, Response]:
    (one,) = entries(name, json.dumps(SAMPLES[name] if sample is None else sample).encode())
    assert isinstance(one, Reported), one
    assert one.exchange.request is not None
    assert one.exchange.response is not None
    return one, one.exchange.request, one.exchange.response


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("shape", ["%s\n%s", "[%s, %s]", "\n%s\n\n%s\n"])
def test_each_is_known_by_its_content_and_read_by_lines_or_as_an_array(name: str, shape: str) -> None:
    raw = (shape % ((json.dumps(SAMPLES[name]),) * 2)).encode()
    assert recognised(raw) is FORMATS[name]
    assert [type(one) for one in entries(name, raw)] == [Reported, Reported]


def test_an_entry_of_kong() -> None:
    one, request, response = read("kong")
    assert (request.method, request.scheme, request.authority) == (b"POST", b"https", b"api.example.com:8443")
    assert request.target == b"/orders?a=1&b=2&b=3"
    assert (request.body, response.body) == (UNSEEN, UNSEEN)
    assert (response.status, response.headers) == (201, ((b"content-type", b"application/json"),))
    assert (request.start_ns, response.end_ns) == (NOON, NOON + 44_000_000)
    assert (one.side, one.client, one.exchange.fields_unknown) == ("server", Endpoint("10.0.0.7", 0), 0)


def test_a_line_of_nginx_is_logged_at_its_end_and_has_no_headers() -> None:
    one, request, response = read("nginx")
    assert (request.method, request.target, request.scheme) == (b"GET", b"/users?page=2", b"https")
    assert (request.authority, request.headers) == (b"api.example.com", ((b"user-agent", b"curl/8"),))
    assert (request.start_ns, response.end_ns) == (NOON - 250_000_000, NOON)
    assert (request.body, response.body, response.status) == (EMPTY_BODY, UNSEEN, 200)
    assert (one.exchange.fields_unknown, one.timed) == (1, True)


def test_a_line_of_apache_may_hold_the_request_line() -> None:
    _, request, response = read("apache")
    assert (request.method, request.target, request.version) == (b"GET", b"/users?page=2", b"2")
    assert (request.authority, request.start_ns) == (b"api.example.com", NOON)
    assert response.status == 200


def test_a_line_of_ndjson_has_bodies_as_text_or_parsed() -> None:
    one, request, response = read("ndjson")
    assert (request.authority, request.target) == (b"api.example.com", b"/users/7")
    assert request.headers == ((b"content-type", b"application/json"), (b"x-two", b"a"), (b"x-two", b"b"))
    assert request.body == Body(None, b'{"name": "Ada"}', BodyState.COMPLETE, coded=False)
    assert response.body.data == b'{"id":7}'
    assert response.headers == ((b"x", b"y"), (b"content-type", b"application/json"))
    assert one.exchange.completeness is Completeness.COMPLETE


@pytest.mark.parametrize(
    "sample",
    [
        {"method": "GET", "path": "/a", "host": "h", "status": 200},
        {"httpMethod": "GET", "url": "http://h/a", "statusCode": "200"},
        {
            "http": {
                "request": {"method": "GET", "uri": "/a", "headers": {"Host": "h"}},
                "response": {"status": 200},
            }
        },
        {"req": {"method": "GET", "url": "/a", "headers": {"host": "h"}}, "res": {"statusCode": 200}},
        {"httpRequest": {"requestMethod": "GET", "requestUrl": "http://h/a", "status": 200}},
    ],
)
def test_the_same_things_have_several_names(sample: Any) -> None:
    one, request, response = read("ndjson", sample)
    assert (request.method, request.target, request.authority) == (b"GET", b"/a", b"h")
    assert (response.status, one.timed, request.start_ns) == (200, False, WRITTEN)
    assert recognised(json.dumps(sample).encode()) is FORMATS["ndjson"]


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        ("2026-03-01T12:00:00.5+00:00", NOON + 500_000_000),
        ("1772366400.500", NOON + 500_000_000),
        (1_772_366_400_500, NOON + 500_000_000),
        (1_772_366_400_500_000, NOON + 500_000_000),
        ("01/Mar/2026:12:00:00 +0000", NOON),
        ("yesterday", WRITTEN),
        (-1, WRITTEN),
    ],
)
def test_times_as_they_are_written(stated: Any, moment: int) -> None:
    _, request, _ = read("ndjson", SAMPLES["ndjson"] | {"timestamp": stated})
    assert request.start_ns == moment


def test_an_entry_without_an_answer_is_one_of_its_request() -> None:
    (one,) = entries("ndjson", b'{"request": {"method": "GET", "url": "http://h/a"}}')
    assert isinstance(one, Reported)
    assert (one.exchange.response, one.exchange.completeness) == (None, Completeness.NO_RESPONSE)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_broken_line_is_named(name: str) -> None:
    whole = json.dumps(SAMPLES[name]).encode()
    found = entries(name, whole + b'\n{"a": 1}\n{"cut": \n' + whole)
    assert [type(one) for one in found] == [Reported, UnreadableEntry, UnreadableEntry, Reported]
    assert found[1] == UnreadableEntry("line 2", "no request method or no URL")


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.binary())
def test_any_bytes_are_exchanges_or_broken_and_never_an_exception(name: str, raw: bytes) -> None:
    for one in [*entries(name, raw), *entries(name, b"[" + raw)]:
        assert isinstance(one, (Reported, UnreadableEntry, CutShort))


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_value_anywhere_is_an_exchange_or_broken_and_never_an_exception(
    name: str, data: st.DataObject
) -> None:
    whole: Any = json.loads(json.dumps(SAMPLES[name]))
    place = data.draw(st.sampled_from([whole, *(one for one in whole.values() if isinstance(one, dict))]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
    assert len(entries(name, json.dumps(whole).encode())) == 1
