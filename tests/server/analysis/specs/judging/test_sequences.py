from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import Mask
from server.analysis.specs.judging.sequences import EVENTS, events
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import answering, body, call, found, operation, spec

ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
DATA = {"type": "string", "contentMediaType": "application/json", "contentSchema": ORDER}
EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": DATA, "event": {"enum": ["order"]}, "retry": {"type": "integer", "maximum": 9000}},
}


def feed(item: Any, **components: Any) -> Specification:
    answer = {"description": "ok", "content": {EVENTS: {"itemSchema": item}}}
    paths = {"/x": {"get": operation(responses={"200": answer})}}
    return spec(paths, "3.2.0", components={"schemas": components})


def told(loaded: Specification, raw: bytes, *masks: Mask) -> list[tuple[str, str]]:
    judgement = loaded.match(call(answer=body(raw), answer_type=f"{EVENTS}; charset=utf-8", masks=masks))
    assert judgement.verdict in ("conforming", "deviating") or masks
    return [(kind, pointer) for kind, _, pointer in found(judgement)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"id": 1}\n{"id": 2}\n', []),
        (b'{"id": 1}\r\n\r\n{"id": "x"}', ["type"]),
        (b'{"id": 1}\n{}\n', ["missing-field"]),
        (b'{"id": 1}\n{"id":', ["malformed-body"]),
        (b'{"id": 1} {"id": 2}', ["malformed-body"]),
        (b"1\n2\n", ["malformed-body"]),
        (b'{"id": 1}\nend', ["malformed-body"]),
    ],
)
def test_several_texts_one_a_line_are_each_judged_by_the_schema_of_one(raw: bytes, expected: Any) -> None:
    judgement = answering(ORDER).match(call(answer=body(raw)))
    assert [kind for kind, _, _ in found(judgement)] == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\n", [{"data": "a"}]),
        (b"\xef\xbb\xbfdata:a\r\rdata:  b\r\n\r\n", [{"data": "a"}, {"data": " b"}]),
        (b"data: a\ndata\ndata: b\n\n", [{"data": "a\n\nb"}]),
        (
            b": beat\n\nevent: x\nid: 1\nretry: 20\ndata:\n\n",
            [{"event": "x", "id": "1", "retry": 20, "data": ""}],
        ),
        (b"event: x\n\ndata: a\n\n", [{"data": "a"}]),
        (b"retry: soon\nid: a\0\nother: b\ndata: a\n\n", [{"data": "a"}]),
        (b"data: a\n\ndata: not ended\n", [{"data": "a"}]),
    ],
)
def test_events_are_what_a_client_would_dispatch(raw: bytes, expected: Any) -> None:
    assert [*events(raw)] == expected


@given(st.binary(max_size=80) | st.text("data:evntiry \r\n{}1", max_size=80).map(str.encode))
def test_any_bytes_are_events_or_none(raw: bytes) -> None:
    assert all(isinstance(event["data"], str) for event in events(raw))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'event: order\ndata: {"id": 1}\n\ndata: {"id":\ndata: 2}\n\n', []),
        (b'data: {"id": "1"}\n\n', [("type", "/data/id")]),
        (b"data: {}\n\n", [("missing-field", "/data/id")]),
        (b"data: []\n\n", [("type", "/data")]),
        (b'data: {"id": \n\n', [("malformed-body", "/data")]),
        (b'event: other\ndata: {"id": 1}\n\n', [("enum", "/event")]),
        (b"data: {}\n", []),  # not dispatched
        (b'retry: 10000\ndata: {"id": 1}\n\n', [("bounds", "/retry")]),
        (b"data: [DONE]\n\n", []),
        (b": beat\n\n", []),
    ],
)
def test_each_event_is_judged_and_the_json_in_its_data(raw: bytes, expected: Any) -> None:
    assert told(feed(EVENT), raw) == expected
    assert told(feed({"$ref": "#/components/schemas/Event"}, Event=EVENT), raw) == expected


@pytest.mark.parametrize("item", [True, {}, {"type": "object"}, {"properties": {"data": {"type": "string"}}}])
def test_data_without_a_schema_of_its_own_is_text(item: Any) -> None:
    assert told(feed(item), b'data: {"id": "1"}\n\n') == []


def test_masked_values_of_events_are_no_deviation() -> None:
    known = {"type": "object", "properties": {"id": {"type": "string", "enum": ["a"]}}}
    loaded = feed({"properties": {"data": {**DATA, "contentSchema": known}}})
    raw = b'data: {"id": "redacted"}\n\n'
    assert told(loaded, raw) == [("enum", "/data/id")]
    assert told(loaded, raw, Mask("response.body", "", "name:id")) == []
