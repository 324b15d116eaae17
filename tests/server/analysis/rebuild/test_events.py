"""Items of event streams and of JSON lines in a rebuilt document."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from agent.wire import Mask, Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.modernized import with_sequences
from tests.server.analysis.rebuild.traffic import call, deviations, learnt, rebuilt, validate

EVENTS, LINES = "text/event-stream", "application/jsonl"
STATES = ("open", "paid", "sent")
ITEMS = [{"id": number, "state": STATES[number % 3], "at": "2026-03-01T12:00:00Z"} for number in range(60)]


def event(data: Any, *, name: str = "order", id: object = 7) -> str:
    said = data if isinstance(data, str) else json.dumps(data)
    lines = "".join(f"data: {line}\n" for line in said.split("\n"))
    return f": beat\nevent: {name}\nid: {id}\n{lines}\n"


def streamed(*events: str, masks: Iterable[Mask] = ()) -> Record:
    return call(path="/feed", answer="".join(events).encode(), answer_kind=EVENTS, masks=masks)


def listed(*items: Any, kind: str = LINES, masks: Iterable[Mask] = ()) -> Record:
    raw = "".join(json.dumps(item) + "\n" for item in items).encode()
    return call(path="/export", answer=raw, answer_kind=kind, masks=masks)


def media(found: dict[str, Any], path: str, kind: str) -> Any:
    return found["paths"][path]["get"]["responses"]["200"]["content"][kind]


def feed(records: Iterable[Record]) -> Any:
    return media(rebuilt(records, sequences=True), "/feed", EVENTS)["itemSchema"]


STREAMS = [streamed(*(event(item, id=n) for n, item in enumerate(ITEMS))) for _ in range(3)]
LISTS = [listed(*ITEMS[at::3]) for at in range(3)]
ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["at", "id", "state"],
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "id": {"type": "integer"},
        "state": {"type": "string", "enum": [*STATES]},
    },
}


def test_events_are_described_by_their_fields_and_the_json_in_their_data() -> None:
    assert feed(STREAMS) == {
        "type": "object",
        "required": ["data", "event", "id"],
        "properties": {
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": ORDER},
            "event": {"type": "string", "enum": ["order"]},
            "id": {"type": "string"},
        },
    }


def test_json_lines_are_described_by_their_items() -> None:
    found = rebuilt(LISTS, sequences=True)
    assert found["openapi"] == "3.2.0"
    assert media(found, "/export", LINES) == {"itemSchema": ORDER}


@pytest.mark.parametrize("evidence", [False, True])
def test_openapi_31_describes_both_as_text(evidence: bool) -> None:
    found = rebuilt([*STREAMS, *LISTS], evidence=evidence)
    assert found["openapi"] == "3.1.1"
    assert media(found, "/feed", EVENTS)["schema"] == {"type": "string"}
    assert media(found, "/export", LINES)["schema"] == {"type": "string"}
    assert "components" not in found
    assert deviations(found, [*STREAMS, *LISTS]) == []


@pytest.mark.parametrize("evidence", [False, True])
def test_traffic_conforms_and_a_changed_item_deviates(evidence: bool) -> None:
    found = rebuilt([*STREAMS, *LISTS], evidence=evidence, sequences=True)
    assert deviations(found, [*STREAMS, *LISTS]) == []
    wrong: list[tuple[Any, str, str]] = [
        ({**ITEMS[0], "id": "7"}, "type", "/id"),
        ({**ITEMS[0], "state": "lost"}, "enum", "/state"),
        ({**ITEMS[0], "at": "noon"}, "format", "/at"),
        ({"id": 7, "state": "open"}, "missing-field", "/at"),
        ({**ITEMS[0], "new": 1}, "unknown-field", "/new"),
    ]
    for item, kind, pointer in wrong:
        lines, stream = listed(*ITEMS, item), streamed(event(ITEMS[0]), event(item))
        assert deviations(found, [lines]) == [(kind, "response.body", pointer)]
        assert deviations(found, [stream]) == [(kind, "response.body", "/data" + pointer)]
    assert deviations(found, [streamed(event(ITEMS[0], name="lost"))]) == [
        ("enum", "response.body", "/event")
    ]
    assert [one[0] for one in deviations(found, [streamed(event('{"id": '))])] == ["malformed-body"]


def test_a_sentinel_among_json_is_not_described_and_conforms() -> None:
    ended = [streamed(*(event(item) for item in ITEMS), "data: [DONE]\n\n")]
    found = rebuilt(ended, sequences=True)
    assert media(found, "/feed", EVENTS)["itemSchema"]["properties"]["data"]["contentSchema"] == ORDER
    assert deviations(found, ended) == []


def test_words_in_events_are_texts_even_if_some_are_json() -> None:
    words = [streamed(*(f"data: {word}\n\n" for word in ("I", "5", "true", "null", "7")))]
    assert feed(words) == {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}


def test_masked_values_of_items_are_in_no_enum_and_no_example() -> None:
    secret = {"token": "redacted", "state": "open"}
    masks = [Mask("response.body", "/token", "name:token")]
    lists = [listed(*[secret] * 100, masks=masks)]
    streams = [streamed(*[event(secret)] * 100, masks=[Mask("response.body", "", "name:token")])]
    found = rebuilt([*lists, *streams], evidence=True, sequences=True)
    assert "redacted" not in json.dumps(found)
    item = media(found, "/export", LINES)["itemSchema"]["properties"]
    assert item["token"]["type"] == "string"
    assert not item["token"].keys() & {"enum", "format", "const"}
    assert "enum" in item["state"]
    assert "enum" not in json.dumps(media(found, "/feed", EVENTS))  # where in the events is not known
    assert deviations(found, [*lists, *streams]) == []


def test_masked_data_of_events_is_no_text() -> None:
    masks = [Mask("response.body", "", "split")]
    hidden = streamed(event("redacted"), event("redacted"), masks=masks)
    data = feed([streamed(event(ITEMS[0])), hidden])["properties"]["data"]
    assert data["contentSchema"]["properties"].keys() == ORDER["properties"].keys()


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/ndjson", "application/json-seq"])
def test_sequences_of_other_names_are_described_too(kind: str) -> None:
    separator = b"\x1e" if kind.endswith("seq") else b""
    raw = b"".join(separator + json.dumps(item).encode() + b"\n" for item in ITEMS)
    records = [call(path="/export", answer=raw, answer_kind=kind)]
    found = rebuilt(records, sequences=True)
    assert media(found, "/export", kind)["itemSchema"] == ORDER
    assert deviations(found, records) == []


def test_sent_lines_are_described_too() -> None:
    raw = b'{"id": 1}\n{"id": 2}\n'
    records = [call("POST", "/bulk", answer={}, sent=raw, kind=LINES) for _ in range(3)]
    found = rebuilt(records, sequences=True)
    body = found["paths"]["/bulk"]["post"]["requestBody"]["content"][LINES]
    assert body["itemSchema"]["properties"] == {"id": {"type": "integer"}}
    changed = [call("POST", "/bulk", answer={}, sent=b'{"id": "x"}\n', kind=LINES)]
    assert deviations(found, records) == []
    assert deviations(found, changed) == [("type", "request.body", "/id")]


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b'{"a": 1}\n{', b"data: 1", b""])
def test_a_broken_sequence_teaches_nothing(raw: bytes) -> None:
    records = [call(path="/x", answer=raw, answer_kind=kind) for kind in (EVENTS, LINES)]
    found = rebuilt(records, sequences=True)
    assert "itemSchema" not in json.dumps(found)
    assert deviations(found, records) == []


def test_learned_items_are_stored_and_added_up() -> None:
    options = DocumentOptions("Shop", sequences=True)
    learner = Learner.restore(learnt([STREAMS[0], LISTS[0]]).state())
    learner.absorb(learnt([*STREAMS[1:], *LISTS[1:]]))
    assert document(learner, options) == document(learnt([*STREAMS, *LISTS]), options)


def test_a_document_in_3_1_has_the_items_as_evidence_and_becomes_the_one_in_3_2() -> None:
    older = rebuilt([*STREAMS, *LISTS], evidence=True)
    assert "itemSchema" not in media(older, "/feed", EVENTS)
    newer: dict[str, Any] = with_sequences(older)
    validate(newer)
    described = rebuilt([*STREAMS, *LISTS], evidence=True, sequences=True)
    assert newer["openapi"] == described["openapi"]
    for path, kind in (("/feed", EVENTS), ("/export", LINES)):
        assert media(newer, path, kind).keys() == media(described, path, kind).keys()
    wrong = listed({"id": "seven", "state": "open", "at": "2026-03-01T12:00:00Z"})
    assert deviations(older, [wrong]) == []
    assert deviations(newer, [wrong]) == deviations(described, [wrong]) != []
