"""HAR files of browsers and proxies are read as exchanges; a broken entry is reported and affects no
other.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Callable, Iterable
from email import message_from_bytes
from email.policy import HTTP
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.messages import BodyState, Completeness
from agent.sources import har
from agent.sources.reported import CutShort, Entry, Reported, Skipped, UnreadableEntry
from tests.agent.sources.values import VALUES
from tests.har import document, entry

STARTED = 1_772_366_400_250_000_000  # 2026-03-01T12:00:00.250Z
WRITTEN = 1_772_400_000_000_000_000


def entries(raw: bytes) -> list[Entry]:
    return list(har.entries(io.BytesIO(raw).read, WRITTEN))


def reported(*given: Any) -> Reported:
    (one,) = entries(document(*given))
    assert isinstance(one, Reported), one
    return one


def changed(change: Callable[[dict[str, Any]], object], **given: Any) -> Reported:
    one = entry(**given)
    change(one)
    return reported(one)


def test_an_entry_is_an_exchange_with_its_times_and_ends() -> None:
    found = reported(entry("POST", body={"a": 1}, answer={"id": 7}, status=201, serverIPAddress="[::1]"))
    request, response = found.exchange.request, found.exchange.response
    assert request is not None
    assert response is not None
    assert (request.method, request.target, request.scheme) == (b"POST", b"/pets/7?full=true", b"http")
    assert request.authority == b"shop.example"
    assert (request.body.data, request.body.size) == (b'{"a": 1}', 8)
    assert (response.status, response.body.data) == (201, b'{"id": 7}')
    assert request.start_ns == STARTED
    assert request.end_ns == STARTED + 1_500_000
    assert (response.start_ns, response.end_ns) == (STARTED + 11_500_000, STARTED + 12_500_000)
    assert found.exchange.completeness is Completeness.COMPLETE
    assert found.server is not None
    assert (found.server.ip, found.server.port) == ("::1", 80)


def test_the_same_entry_has_the_same_identity_and_equal_entries_of_one_file_differ() -> None:
    first = [one.connection for one in entries(document(entry(), entry())) if isinstance(one, Reported)]
    again = [one.connection for one in entries(document(entry(), entry())) if isinstance(one, Reported)]
    assert first == again
    assert len(set(first)) == 2


@pytest.mark.parametrize("user", ["joe@", "joe:secret@", "joe:p@ss@", "@"])
def test_user_and_password_in_a_url_are_no_part_of_the_host(user: str) -> None:
    def change(one: dict[str, Any]) -> None:
        one["request"]["url"] = f"https://{user}shop.example:8443/pets"

    request = changed(change).exchange.request
    assert request is not None
    assert (request.authority, request.target) == (b"shop.example:8443", b"/pets")


def test_http2_pseudo_headers_are_no_headers() -> None:
    def change(one: dict[str, Any]) -> None:
        one["request"]["httpVersion"] = "h2"
        one["request"]["headers"] = [{"name": ":authority", "value": "x"}, {"name": "Accept", "value": "*/*"}]

    request = changed(change, url="https://shop.example/").exchange.request
    assert request is not None
    assert request.headers == ((b"accept", b"*/*"),)
    assert (request.version, request.scheme) == (b"2", b"https")


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("HTTP/1.0", b"1.0"),
        ("http/1.1", b"1.1"),
        ("HTTP/2.0", b"2"),
        ("h3", b"3"),
        ("", b"1.1"),
        ("unknown", b"1.1"),
    ],
)
def test_versions_as_they_are_written(written: str, version: bytes) -> None:
    request = changed(lambda one: one["request"].update(httpVersion=written)).exchange.request
    assert request is not None
    assert request.version == version


def test_base64_bodies_are_decoded_and_their_content_coding_is_not_undone_twice() -> None:
    def change(one: dict[str, Any]) -> None:
        data = base64.b64encode(b'{"id": 7}').decode()
        one["response"]["content"].update(text=data, encoding="base64", size=9)

    response = changed(change, answer_headers={"Content-Encoding": "br"}).exchange.response
    assert response is not None
    assert (response.body.data, response.body.coded) == (b'{"id": 7}', False)


def test_a_body_that_is_still_coded_is_known_by_its_magic() -> None:
    def change(one: dict[str, Any]) -> None:
        data = base64.b64encode(gzip.compress(b"{}")).decode()
        one["response"]["content"].update(text=data, encoding="base64")

    response = changed(change, answer_headers={"Content-Encoding": "gzip"}).exchange.response
    assert response is not None
    assert response.body.coded


def test_what_the_writer_left_out_is_unseen_and_not_empty() -> None:
    response = changed(lambda one: one["response"]["content"].update(size=500)).exchange.response
    assert response is not None
    assert (response.body.size, response.body.state) == (500, BodyState.UNSEEN)
    response = changed(lambda one: one["response"]["content"].update(size=-1)).exchange.response
    assert response is not None
    assert (response.body.size, response.body.state) == (None, BodyState.UNSEEN)


def test_a_body_shorter_than_its_size_was_cut_by_the_writer() -> None:
    found = changed(lambda one: one["response"]["content"].update(size=5000), answer={"id": 7})
    assert found.exchange.completeness is Completeness.TRUNCATED
    assert found.exchange.response is not None
    assert found.exchange.response.body.state is BodyState.TRUNCATED


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_what_has_no_body_has_an_empty_one(method: str, status: int) -> None:
    found = changed(lambda one: one["response"]["content"].update(size=-1), method=method, status=status)
    assert found.exchange.response is not None
    assert (found.exchange.response.body.size, found.exchange.response.body.state) == (0, BodyState.COMPLETE)


def test_missing_and_negative_sizes_are_unknown() -> None:
    def change(one: dict[str, Any]) -> None:
        del one["response"]["content"]["size"], one["response"]["bodySize"], one["timings"], one["time"]
        one["request"]["bodySize"] = -1

    found = changed(change, method="POST", body={"a": 1}, answer={"id": 7}).exchange
    assert found.request is not None
    assert found.response is not None
    assert (found.request.body.size, found.response.body.size) == (8, 9)
    assert (found.request.end_ns, found.response.end_ns) == (None, None)


def test_form_params_without_text_are_the_form_that_was_sent() -> None:
    def change(one: dict[str, Any]) -> None:
        params = [{"name": "a b", "value": "1&2"}]
        one["request"]["postData"] = {"mimeType": "application/x-www-form-urlencoded", "params": params}

    request = changed(change, method="POST").exchange.request
    assert request is not None
    assert request.body.data == b"a+b=1%262"


def test_an_entry_without_a_time_is_read_with_that_of_the_file() -> None:
    found = changed(lambda one: one.pop("startedDateTime"))
    assert found.exchange.request is not None
    assert (found.exchange.request.start_ns, found.timed) == (WRITTEN, False)
    assert reported(entry()).timed


def test_an_entry_of_a_request_alone_is_read() -> None:
    raw = b'{"log": {"entries": [{"request": {"method": "GET", "url": "http://h/a#top"}}]}}'
    (found,) = entries(raw)
    assert isinstance(found, Reported)
    assert found.exchange.request is not None
    assert (found.exchange.request.target, found.exchange.response) == (b"/a", None)
    assert found.exchange.completeness is Completeness.NO_RESPONSE


def test_the_type_of_a_body_is_that_beside_it_if_the_headers_name_none() -> None:
    def change(one: dict[str, Any]) -> None:
        one["request"]["headers"] = []
        del one["response"]["headers"]
        one["response"]["content"]["mimeType"] = "text/x-unlike; charset=utf-8"

    exchange = changed(change, method="POST", body={"a": 1}, answer={"id": 7}).exchange
    assert exchange.request is not None
    assert exchange.response is not None
    assert exchange.request.headers == ((b"content-type", b"application/json"),)
    assert exchange.response.headers == ((b"content-type", b"text/x-unlike; charset=utf-8"),)


def test_a_type_that_the_headers_name_stays() -> None:
    response = changed(
        lambda one: one["response"]["content"].update(mimeType="a/b"), answer={}
    ).exchange.response
    assert response is not None
    assert response.headers == ((b"content-type", b"application/json"),)


@pytest.mark.parametrize("mime", ["x-unknown", "", "a/b\r\nx: y", 7])
def test_what_is_no_type_becomes_no_header(mime: Any) -> None:
    bare = changed(
        lambda one: one["response"].update(headers=[], content={"text": "{}", "mimeType": mime})
    ).exchange
    assert bare.response is not None
    assert bare.response.headers == ()


def test_multipart_params_without_text_are_a_form_with_files_that_were_not_kept() -> None:
    def change(one: dict[str, Any]) -> None:
        one["request"]["headers"] = [{"name": "Content-Type", "value": "multipart/form-data"}]
        file = {"name": "f", "value": "(binary)", "fileName": 'a"b.pdf', "contentType": "application/pdf"}
        params = [{"name": "title", "value": "Report"}, file]
        one["request"]["postData"] = {"mimeType": "multipart/form-data", "params": params}

    request = changed(change, method="POST").exchange.request
    assert request is not None
    ((name, value),) = request.headers
    assert name == b"content-type"
    form = message_from_bytes(b"Content-Type: " + value + b"\r\n\r\n" + request.body.data, policy=HTTP)
    told = [
        (p.get_param("name", header="content-disposition"), p.get_content_type()) for p in form.iter_parts()
    ]
    assert told == [("title", "text/plain"), ("f", "application/pdf")]
    assert [p.get_content() for p in form.iter_parts()] == ["Report", b""]
    assert request.body.state is BodyState.COMPLETE


def test_params_of_another_type_are_unseen() -> None:
    def change(one: dict[str, Any]) -> None:
        one["request"]["postData"] = {"mimeType": "text/odd", "params": [{"name": "a", "value": "1"}]}

    request = changed(change, method="POST").exchange.request
    assert request is not None
    assert request.body.state is BodyState.UNSEEN


def test_a_blocked_call_has_no_response() -> None:
    found = reported(entry(status=0)).exchange
    assert (found.response, found.completeness) == (None, Completeness.NO_RESPONSE)


def test_data_urls_are_left_out() -> None:
    assert entries(document(entry(url="data:text/plain,x"))) == [Skipped("entries, not an HTTP URL")]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"startedDateTime": nonsense}', "not JSON"),
        (b"{}", "no request method or no URL"),
        (b'{"startedDateTime": "x"}', "its startedDateTime is no time from 1970 to 2116"),
        (b'{"startedDateTime": "9999-12-31T23:59:59Z"}', "its startedDateTime is no time from 1970 to 2116"),
        (b'{"startedDateTime": "1600-01-01T00:00:00Z"}', "its startedDateTime is no time from 1970 to 2116"),
        (b'{"startedDateTime": "2026-03-01T12:00:00Z"}', "no request method or no URL"),
        (b'"text"', "not a JSON object"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b'{"a": NaN}', "not JSON"),
        (b"[1]", "not a JSON object"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_a_broken_entry_is_named_and_spoils_no_other(broken: bytes, reason: str) -> None:
    whole = json.dumps(entry()).encode()
    raw = b'{"log": {"version": "1.2", "entries": [' + whole + b", " + broken + b", " + whole + b"]}}"
    kinds = entries(raw)
    assert [type(one) for one in kinds] == [Reported, UnreadableEntry, Reported]
    assert kinds[1] == UnreadableEntry("entry 2", reason)


@pytest.mark.parametrize(
    ("strays", "count"),
    [
        (b"1", 1),
        (b"1, null,true , -2.5e3", 4),
        (b'"a, b", "c\\",d", x', 3),
        (b",, 1,,", 1),
    ],
)
def test_each_value_that_is_no_object_is_named(strays: bytes, count: int) -> None:
    whole = json.dumps(entry()).encode()
    for raw in (whole + b", " + strays, strays + b", " + whole, whole + b"," + strays + b"," + whole):
        assert (
            len(
                [
                    one
                    for one in entries(b'{"log": {"entries": [' + raw + b"]}}")
                    if isinstance(one, UnreadableEntry)
                ]
            )
            == count
        )
    raw = b'{"log": {"entries": [' + whole + b", " + strays + b", " + whole + b"]}}"
    found = [one for one in entries(raw) if isinstance(one, UnreadableEntry)]
    assert found == [UnreadableEntry(f"entry {2 + n}", "not a JSON object") for n in range(count)]


def test_a_cut_file_is_read_to_its_last_whole_entry() -> None:
    raw = document(entry(), entry())
    for missing, read in ((300, 1), (2, 2), (len(raw) - 100, 0)):
        found = entries(raw[: len(raw) - missing])
        assert [type(one) for one in found] == [Reported] * read + [CutShort]
        assert found[-1] == CutShort(f"after entry {read}")


@pytest.mark.parametrize("text", [b"gar{x [ }bage", b"}]", b"0" * 5000])
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_what_stands_between_documents_is_counted_and_hides_none(text: bytes, size: int) -> None:
    one = document(entry())
    raw = one + b"\n" + one + b"\n" + text + b" \n" + one + text
    strange = [UnreadableEntry(f"after entry {n}", f"{len(text):,} bytes that are no HAR") for n in (2, 3)]
    found = whole(pieces(raw, range(0, len(raw), size)))
    assert found[2::2] == strange
    assert [type(one) for one in found] == [Reported, Reported, UnreadableEntry, Reported, UnreadableEntry]


def whole(read: Callable[[int], bytes]) -> list[Entry]:
    return list(har.entries(read, WRITTEN))


def pieces(raw: bytes, cuts: Iterable[int]) -> Callable[[int], bytes]:
    places = sorted({0, len(raw), *cuts})
    parts = iter([raw[start:end] for start, end in pairwise(places)])
    return lambda _size: next(parts, b"")


def test_any_cut_gives_the_same_entries() -> None:
    tricky = entry(answer={'a"\\': 'x}]{"\\"'})
    raw = document(tricky, entry())
    expected = entries(raw)
    for cut in range(1, len(raw)):
        assert whole(pieces(raw, [cut])) == expected
    assert whole(pieces(raw, range(len(raw)))) == expected


@settings(deadline=None)
@given(
    st.binary() | st.lists(st.sampled_from([*map(bytes, b'{}[]"\\,:'), b'"entries"', b'"log"'])).map(b"".join)
)
def test_any_bytes_are_entries_or_broken_and_never_an_exception(raw: bytes) -> None:
    start = b'{"log": {"entries": ['
    for one in [*entries(raw), *entries(start + raw)]:
        assert isinstance(one, (Reported, UnreadableEntry, Skipped, CutShort))


@settings(deadline=None)
@given(st.data())
def test_any_values_in_an_entry_are_an_exchange_or_broken_and_never_an_exception(data: st.DataObject) -> None:
    one = entry("POST", body={"a": 1}, answer={"id": 7})
    place: Any = one
    while isinstance(place, (dict, list)) and place:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    assert len(entries(document(one))) == 1


@pytest.mark.parametrize("text", ["!!!notb64", "!!!!", "abcde"])
def test_a_body_that_is_not_base64_spoils_no_more_than_itself(text: str) -> None:
    def spoil(one: dict[str, Any]) -> None:
        one["request"]["postData"] = {"mimeType": "text/plain", "text": text, "encoding": "base64"}
        one["response"]["content"].update(text=text, encoding="base64", size=70)

    exchange = changed(spoil).exchange
    assert exchange.request is not None
    assert exchange.response is not None
    assert (exchange.response.status, exchange.response.body.size) == (200, 70)
    bodies = (exchange.request.body, exchange.response.body)
    assert [(body.data, body.state) for body in bodies] == [(b"", BodyState.UNDECODABLE)] * 2


def test_base64_may_be_broken_into_lines() -> None:
    def change(one: dict[str, Any]) -> None:
        one["response"]["content"].update(text="eyJp\r\nZCI6IDd9", encoding="base64")

    response = changed(change).exchange.response
    assert response is not None
    assert response.body.data == b'{"id": 7}'


@pytest.mark.parametrize(
    "raw", [b"<html>sign in</html>", b'{"log":{}}', b'{"log":{"version":"1.2","entries":"x"}}', b""]
)
def test_a_document_without_entries_is_no_har(raw: bytes) -> None:
    assert entries(raw) == [UnreadableEntry("the document", "no log.entries, so no HAR")]
    assert entries(document()) == []


def test_a_value_of_another_type_is_absent_and_changes_nothing_else() -> None:
    given = entry(
        "POST", "https://shop.example/?é=1", body={"a": "é"}, answer={"id": 7}, serverIPAddress="::1"
    )
    as_written = reported(given)
    (other,) = entries(document({**given, "serverIPAddress": 1}))
    assert isinstance(other, Reported)
    assert other.exchange == as_written.exchange
    assert (as_written.server is None, other.server) == (False, None)
