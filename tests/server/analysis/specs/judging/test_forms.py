"""Bodies that are not JSON: forms, multipart forms, text, XML and sequences."""

from __future__ import annotations

from typing import Any

import pytest

from agent.wire import Mask
from server.analysis.specs.judging.outcome import MAX_DEVIATIONS
from server.analysis.specs.model import Judgement
from tests.server.analysis.specs.spec_calls import body, call, found, spec

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
PERSON: Any = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer"},
        "happy": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "integer"}},
        "home": {"type": "object", "properties": {"zip": {"type": "integer"}}},
        "photo": {"type": "string", "format": "binary"},
    },
}


def sending(
    kind: str, raw: bytes, schema: Any = PERSON, sent_type: str | None = None, **said: Any
) -> Judgement:
    masks = said.pop("masks", ())
    content = {"content": {kind: {"schema": schema, **said}}}
    loaded = spec(
        {"/x": {"post": {"requestBody": content, "responses": {"200": {"description": ""}}}}}, "3.2.0"
    )
    return loaded.match(call("POST", sent=body(raw), sent_type=sent_type or kind, masks=masks))


def told(judgement: Judgement) -> list[tuple[str, str]]:
    return [(kind, pointer) for kind, _, pointer in found(judgement)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"name=Ann&age=7&happy=true&tags=1&tags=2", []),
        (b"name=A+b%21", []),
        (b"name=%5B%5D", []),
        (b"age=7", [("missing-field", "/name")]),
        (b"name=Annabel", [("bounds", "/name")]),
        (b"name=A&age=x", [("type", "/age")]),
        (b"name=A&tags=1&tags=x", [("type", "/tags/1")]),
        (b"name=A&tags=1", []),
        (b"name=A&z=1", [("unknown-field", "/z")]),
        (b'name=A&home={"zip":1}', []),
        (b"name=A&home=%7B%22zip%22:%22x%22%7D", [("type", "/home/zip")]),
    ],
)
def test_a_form_is_judged_by_its_schema(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert told(sending(FORM, raw)) == expected


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ({"tags": {"style": "form", "explode": False}}, b"name=A&tags=1,2", []),
        ({"tags": {"style": "form", "explode": False}}, b"name=A&tags=1,x", [("type", "/tags/1")]),
        ({"tags": {"style": "pipeDelimited"}}, b"name=A&tags=1%7C2", []),
        ({"home": {"style": "deepObject", "explode": True}}, b"name=A&home[zip]=1", []),
        (
            {"home": {"style": "deepObject", "explode": True}},
            b"name=A&home%5Bzip%5D=x",
            [("type", "/home/zip")],
        ),
        ({"age": {"contentType": "application/json"}}, b"name=A&age=7", []),
    ],
)
def test_a_fields_encoding_says_how_it_is_sent(encoding: Any, raw: bytes, expected: Any) -> None:
    assert told(sending(FORM, raw, encoding=encoding)) == expected


@pytest.mark.parametrize("raw", [b"name=A&home[zip]=1", b"name=A&home[a][b]=1", b"name=A&tags[]=1"])
def test_a_form_that_no_rule_says_how_to_read_is_unjudged(raw: bytes) -> None:
    assert sending(FORM, raw).verdict == "unjudged"


def test_a_masked_field_of_a_form_is_not_blamed() -> None:
    masked = [Mask("request.body", "/name", "name")]
    assert sending(FORM, b"name=xxxxxxxxx", masks=masked).verdict == "unjudged"
    hidden = [Mask("request.body", "/happy", "name")]
    assert sending(FORM, b"name=A&happy=xxxx", masks=hidden).verdict == "unjudged"


BOUNDARY = "multipart/form-data; boundary=b-1"


def multipart(*fields: tuple[str, bytes]) -> bytes:
    sent = b"".join(
        b"--b-1\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in fields
    )
    return sent + b"--b-1--\r\n"


NAME = ("name=name", b"Ann")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([NAME, ("name=age", b"7"), ("name=tags", b"1"), ("name=tags", b"2")], []),
        ([('name="photo"; filename="a.png"\r\nContent-Type: image/png', b"\x89PNG\r\n\x1a"), NAME], []),
        ([NAME, ('name="home"\r\nContent-Type: application/json', b'{"zip": 1}')], []),
        ([NAME, ("name=home", b'{"zip": "x"}')], [("type", "/home/zip")]),
        ([("name=age", b"7")], [("missing-field", "/name")]),
        ([NAME, ("name=age", b"x")], [("type", "/age")]),
        ([NAME, ("name=z", b"x")], [("unknown-field", "/z")]),
        ([("name=name", b"12345")], []),
    ],
)
def test_a_multipart_form_is_judged_by_its_schema(fields: Any, expected: Any) -> None:
    assert told(sending(MULTIPART, multipart(*fields), sent_type=BOUNDARY)) == expected


@pytest.mark.parametrize("raw", [b"nothing", multipart(NAME)[:-6], b"--b-1\r\nno head--b-1--"])
def test_what_is_no_multipart_form_is_malformed(raw: bytes) -> None:
    assert told(sending(MULTIPART, raw, sent_type=BOUNDARY)) == [("malformed-body", "")]


def test_parts_without_a_known_boundary_or_beyond_the_bound_are_unjudged() -> None:
    assert sending(MULTIPART, multipart(NAME), sent_type=MULTIPART).verdict == "unjudged"
    assert sending(MULTIPART, multipart(*[NAME] * 1002), sent_type=BOUNDARY).verdict == "unjudged"


@pytest.mark.parametrize(
    ("schema", "raw", "sent_type", "kinds"),
    [
        ({"type": "string", "pattern": "^a"}, b"abc", "text/plain", []),
        ({"type": "string", "pattern": "^a"}, b"bc", "text/plain", ["pattern"]),
        ({"type": "integer"}, b"42", "text/plain", []),
        ({"type": "integer"}, b"x", "text/plain", ["type"]),
        ({"type": "string", "maxLength": 1}, "é".encode(), "text/plain", []),
        ({"type": "string", "maxLength": 1}, b"\xe9", "text/plain; charset=iso-8859-1", []),
        ({"type": "string", "maxLength": 1}, b"\xe9\xe9", "text/plain; charset=made-up", []),
    ],
)
def test_text_is_judged_by_its_schema(schema: Any, raw: bytes, sent_type: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in told(sending("text/plain", raw, schema, sent_type))] == kinds


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/pdf"])
def test_bytes_are_what_a_string_describes(kind: str) -> None:
    assert sending(kind, b"\x00\xff", {"type": "string", "format": "binary"}).verdict == "conforming"
    assert sending(kind, b"\x00\xff", {"type": "object"}).verdict == "unjudged"


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b"<a><b/>text</a>", "conforming"),
        ('<?xml version="1.0" encoding="utf-8"?><a>é</a>'.encode(), "conforming"),
        (b"<a><b></a>", "deviating"),
        (b"<a>&nope;</a>", "deviating"),
        (b"no xml", "deviating"),
        (b'<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>', "unjudged"),
        (b"<a>" * 5000 + b"</a>" * 5000, "unjudged"),
        (b'<?xml version="1.0" encoding="made-up"?><a/>', "unjudged"),
    ],
)
@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "application/atom+xml"])
def test_xml_is_well_formed_or_malformed(kind: str, raw: bytes, verdict: str) -> None:
    assert sending(kind, raw, {"type": "string"}).verdict == verdict


def test_of_xml_nothing_else_is_judged_and_that_is_said() -> None:
    judgement = sending("application/xml", b"<a/>", {"type": "object", "required": ["b"]})
    assert (judgement.verdict, judgement.why) == (
        "unjudged",
        "request.body: of XML only well-formedness is validated",
    )


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("application/jsonl", b'{"zip": 1}\n{"zip": 2}\n', []),
        ("application/x-ndjson", b'{"zip": 1}\r\n{"zip": "x"}', [("type", "/zip")]),
        ("application/json-seq", b'\x1e{"zip": 1}\n\x1e{"zip": 2}\n', []),
        ("application/jsonl", b"{", [("malformed-body", "")]),
    ],
)
def test_each_item_of_a_sequence_is_judged(kind: str, raw: bytes, expected: Any) -> None:
    item = {"type": "object", "properties": {"zip": {"type": "integer"}}}
    assert told(sending(kind, raw, {}, itemSchema=item)) == expected


def test_json_and_xml_are_checked_where_no_schema_is_given() -> None:
    for kind, raw in (("application/json", b"{"), ("application/xml", b"<a>")):
        content: Any = {"content": {kind: {}}}
        loaded = spec({"/x": {"get": {"responses": {"200": {"description": "", **content}}}}})
        assert told(loaded.match(call(answer=body(raw), answer_type=kind))) == [("malformed-body", "")]


@pytest.mark.parametrize(
    ("kind", "schema", "verdict"),
    [
        ("text/plain", {"type": "string"}, "conforming"),
        ("application/octet-stream", {"type": "string", "format": "binary"}, "conforming"),
        ("application/json", {"type": "object"}, "deviating"),
        ("text/html", {}, "conforming"),
    ],
)
def test_an_empty_body_is_missing_only_where_it_cannot_be_what_is_described(
    kind: str, schema: Any, verdict: str
) -> None:
    content = {"content": {kind: {"schema": schema}}}
    loaded = spec({"/x": {"get": {"responses": {"200": {"description": "", **content}}}}})
    assert loaded.match(call(answer_type=kind)).verdict == verdict


def test_text_described_by_a_range_may_be_of_any_type() -> None:
    content = {"content": {"*/*": {"schema": {"type": "string"}}}}
    loaded = spec({"/x": {"get": {"responses": {"200": {"description": "", **content}}}}})
    assert loaded.match(call(answer=body({"a": 1}))).verdict == "conforming"


def test_a_form_of_many_fields_is_answered_within_the_bound() -> None:
    raw = b"name=A&" + b"&".join(b"z%d=1" % i for i in range(5000))
    assert len(sending(FORM, raw).deviations) <= MAX_DEVIATIONS


STREAM = {
    "application/json": {"schema": {"type": "object", "required": ["items"]}},
    "application/json;stream=watch": {"schema": {"type": "object", "required": ["items"]}},
}


@pytest.mark.parametrize(
    ("query", "raw", "verdict"),
    [
        (None, b'{"items": []}', "conforming"),
        (None, b"{}", "deviating"),
        (b"watch=true", b'{"type": "ADDED"}', "unjudged"),
        (b"watch=1", b'{"type": "ADDED"}\n{"type": "ADDED"}', "unjudged"),
        (b"watch=0", b"{}", "deviating"),
    ],
)
def test_a_watch_is_not_blamed_for_being_a_stream(query: bytes | None, raw: bytes, verdict: str) -> None:
    described = {"name": "watch", "in": "query", "schema": {}}
    answers = {"200": {"description": "", "content": STREAM}}
    loaded = spec({"/x": {"get": {"parameters": [described], "responses": answers}}})
    assert loaded.match(call(query=query, answer=body(raw))).verdict == verdict
