"""Each part of a message: what is replaced, what stays, and what is recorded about it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from agent.http.messages import Body, BodyState, Headers
from agent.redact.policy import Policy
from agent.redact.text import MAX_NESTING
from agent.wire import Body as WireBody
from agent.wire import Mask, Record, decode_record, pack_record
from tests.agent.redact.redaction import FORM, JSON, body, body_record, kept, record, request, response

TEXT: Headers = ((b"content-type", b"text/plain"),)
PARTS: Headers = ((b"content-type", b'multipart/form-data; boundary="edge"'),)
EVENTS: Headers = ((b"content-type", b"text/event-stream"),)


def _header(name: bytes, value: bytes, policy: Policy | None = None) -> bytes:
    one = record(request(headers=((name, value),)), policy=policy or Policy())
    assert one.request is not None
    return one.request.headers[-1][1]


def _answer(name: bytes, value: bytes) -> bytes:
    one = record(request(), response(((name, value),)))
    assert one.response is not None
    return one.response.headers[-1][1]


def _target(target: bytes) -> tuple[Any, ...]:
    one = record(request(target))
    assert one.request is not None
    asked = one.request
    return asked.scheme, asked.authority, asked.path, asked.query, {(m.where, m.pointer) for m in one.masks}


def _masks(one: Record) -> set[tuple[str, str, str]]:
    return {(mask.where, mask.pointer, mask.rule) for mask in one.masks}


# Headers


@pytest.mark.parametrize(
    ("name", "value", "masked"),
    [
        (b"accept", b"application/json;q=0.9, */*", b"application/json;q=0.9, */*"),
        (b"user-agent", b"curl/7.88.1", b"curl/7.88.1"),
        (b"x-request-id", b"6f1f5e3e-89d5-4b1e-8a3e-0123456789ab", b"6f1f5e3e-89d5-4b1e-8a3e-0123456789ab"),
        (b"x-account", b"4711", b"0000"),
        (b"x-account", b"6f1f5e3e-89d5-4b1e-8a3e-0123456789ab", b"00000000-0000-0000-0000-000000000000"),
        (b"x-forwarded-for", b"192.0.2.7", b"0.0.0.0"),
        (b"authorization", b"Bearer abc", b"Bearer redacted"),
        (b"authorization", b"bAsIc dXNlcjpwYXNz", b"bAsIc redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
        (b"authorization", b"abc", b"redacted"),
        (b"cookie", b"a=1; theme=dark;b=", b"a=0; theme=redacted; b="),
        (
            b"referer",
            b"https://ada:x@h/p/1?token=x&page=2#f",
            b"https://redacted@h/p/1?token=redacted&page=2#f",
        ),
        (
            b"content-type",
            b"multipart/form-data; boundary=axios-1.7.2-boundary-Zx7Qp2Lk9Vw4Rt8Yb1Nm6Ds3Gf5Hj0Ka",
            b"multipart/form-data; boundary=axios-1.7.2-boundary-Zx7Qp2Lk9Vw4Rt8Yb1Nm6Ds3Gf5Hj0Ka",
        ),
        (b"x-odd", b"", b""),
        (b"x-odd", b"\xff\xfe", b"redacted"),
        (b"host", b"ada:x@api.example:80", b"redacted@api.example:80"),
        (b"host", b"auth:8080", b"auth:8080"),
        (b"host", b"d111111abcdef8.cloudfront.net", b"d111111abcdef8.cloudfront.net"),
        (
            b"host",
            b"6f1f5e3e-89d5-4b1e-8a3e-0123456789ab.example",
            b"6f1f5e3e-89d5-4b1e-8a3e-0123456789ab.example",
        ),
        (b"host", b"sk-front-7d9f8b6c5-x2x4z-abcde.pods:80", b"sk-front-7d9f8b6c5-x2x4z-abcde.pods:80"),
        (b"host", b"API-7d9f8b6c5-x2x4z.my_space.svc", b"API-7d9f8b6c5-x2x4z.my_space.svc"),
        (b"host", b"a.AKIAIOSFODNN7CANARY2.example:80", b"a.redactedxxxxxxxxxxxxxxxxxxxxxxxx.example:80"),
        (b"host", b"%41KIAIOSFODNN7CANARY2", b"redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
        (b"referer", b"/reset/0123456789abcdef0", b"/reset/redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
        (b"link", b"</token/a1>; rel=next", b"</token/redacted>; rel=next"),
    ],
)
def test_a_header_value_is_kept_or_keeps_its_format(name: bytes, value: bytes, masked: bytes) -> None:
    assert _header(name, value) == masked


def test_set_cookie_keeps_name_and_attributes() -> None:
    value = b"sid=abc; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; SameSite=Lax"
    assert _answer(b"set-cookie", value) == value.replace(b"abc", b"redacted")


def test_location_keeps_what_is_no_secret() -> None:
    assert _answer(b"location", b"/next?page=2&token=x") == b"/next?page=2&token=redacted"
    assert _answer(b"location", b"https://h/%7Ea/../b?x=%20") == b"https://h/%7Ea/../b?x=%20"


def test_the_aggregation_header_is_kept_and_the_operators_names_are_heard() -> None:
    assert _header(b"x-tenant", b"blue") == b"redacted"
    assert _header(b"x-tenant", b"blue", Policy(aggregation_header="X-Tenant")) == b"blue"
    assert _header(b"x-tenant", b"blue", Policy(keep_names=frozenset({"x-tenant"}))) == b"blue"
    assert _header(b"user-agent", b"blue", Policy(mask_names=frozenset({"User-Agent"}))) == b"redacted"


def test_each_masked_header_and_cookie_is_named() -> None:
    asked = request(headers=((b"cookie", b"a=1"), (b"x-odd", b"1"), (b"authorization", b"Basic eDp5")))
    answered = response(((b"set-cookie", b"b=2"), (b"x-odd", b"1")), trailers=((b"x-late", b"1"),))
    assert _masks(record(asked, answered)) == {
        ("cookie", "a", "cookie"),
        ("header", "x-odd", "header"),
        ("header", "authorization", "authorization"),
        ("response.cookie", "b", "cookie"),
        ("response.header", "x-odd", "header"),
        ("response.header", "x-late", "header"),
    }


# Targets


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a/b?x=1&y", ("http", b"api.example", b"/a/b", b"x=1&y", set())),
        (b"/a/%e4%zz//?", ("http", b"api.example", b"/a/%e4%zz//", b"", set())),
        (b"/\xff\xfe", ("http", b"api.example", b"/\xff\xfe", None, set())),
        (b"*", ("http", b"api.example", b"*", None, set())),
        (b"HTTPS://other.example/a?b", ("https", b"other.example", b"/a", b"b", set())),
        (b"http://u:p@o.example/", ("http", b"redacted@o.example", b"/", None, {("header", "host")})),
        (
            b"/a?api_key=abc&page=2",
            ("http", b"api.example", b"/a", b"api_key=redacted&page=2", {("query", "api_key")}),
        ),
        (
            b"/a?mail=x&pwd=a%40b.c",
            ("http", b"api.example", b"/a", b"mail=x&pwd=redacted@redacted.invalid", {("query", "pwd")}),
        ),
        (b"/token/4711/x", ("http", b"api.example", b"/token/0000/x", None, {("path", "1")})),
        (b"/token/a-4711.json", ("http", b"api.example", b"/token/redacted.json", None, {("path", "1")})),
        (b"/token/.json", ("http", b"api.example", b"/token/redacted", None, {("path", "1")})),
        (
            b"/a/ghp_16C7e42F292c6912E7710c838347Ae178B4a.xml",
            ("http", b"api.example", b"/a/redacted" + 120 * b"x" + b".xml", None, {("path", "1")}),
        ),
        (
            b"/Auth/Calls/CredentialLists.json",
            ("http", b"api.example", b"/Auth/Calls/CredentialLists.json", None, set()),
        ),
        (b"/cards/4711", ("http", b"api.example", b"/cards/4711", None, set())),
        (b"/card/4711", ("http", b"api.example", b"/card/0000", None, {("path", "1")})),
        (b"/password/reset", ("http", b"api.example", b"/password/reset", None, set())),
        (b"/reset/4711", ("http", b"api.example", b"/reset/4711", None, set())),
        (
            b"/a/AKIAIOSFODNN7CANARY2",
            ("http", b"api.example", b"/a/redactedxxxxxxxxxxxxxxxxxxxxxxxx", None, {("path", "1")}),
        ),
    ],
)
def test_a_target_is_split_and_only_its_secrets_go(target: bytes, expected: tuple[Any, ...]) -> None:
    assert _target(target) == expected


# JSON


@pytest.mark.parametrize(
    ("sent", "masked", "pointers"),
    [
        (b'{ "pin" :\t4711 ,"x":[1e3]}', b'{ "pin" :\t0 ,"x":[1e3]}', {"/pin"}),
        (b'{"a":[{"token":"x"},{"b":null}]}', b'{"a":[{"token":"redacted"},{"b":null}]}', {"/a/0/token"}),
        (b'[[],[{"token":"x"}]]', b'[[],[{"token":"redacted"}]]', {"/1/0/token"}),
        (b'{"secret":{"a":[true,null,"",7]}}', b'{"secret":{"a":[true,null,"",0]}}', {"/secret/a/3"}),
        (b'{"a/b~c":{"pin":1}}', b'{"a/b~c":{"pin":0}}', {"/a~1b~0c/pin"}),
        (b'"Bearer abc123def456"', b'"Bearer redactedxxxxxxxxxxxxxxxxxxxxxxxx"', {""}),
        (b'{"pin":"\\u00e9","x":"\\u00e9\\/"}', b'{"pin":"redacted","x":"\\u00e9\\/"}', {"/pin"}),
        (b'{"max_tokens":5,"usage":{"total_tokens":7}}', None, set()),
        (
            b'[{"op":"add","path":"/a/pin","value":1},{"op":"test","path":"/b","value":2}]',
            b'[{"op":"add","path":"/a/pin","value":0},{"op":"test","path":"/b","value":2}]',
            {"/0/value"},
        ),
        (b'{"path":"/login/token","value":12}', None, set()),
        (
            b'{"from":"a","field":"pin","to":"b"}',
            b'{"from":"redacted","field":"pin","to":"redacted"}',
            {"/from", "/to"},
        ),
        (b'{"name":"Session 1","from":"10:00","to":"11:00"}', None, set()),
        (b'{"required":["password","email"],"x":[["pin","a","b"],["b","pin"],["pin",5]]}', None, set()),
        (b'[["pin","a1"],["b","c"]]', b'[["pin","redacted"],["b","c"]]', {"/0/1"}),
        (b'\xef\xbb\xbf{"a":1}', None, set()),
        (b'{"a":1}\n{"a":2}\n', None, set()),
    ],
)
def test_json_keeps_every_other_byte(sent: bytes, masked: bytes | None, pointers: set[str]) -> None:
    one = body_record(sent)
    assert one.request is not None
    assert one.request.body == WireBody(len(sent), masked or sent, "complete")
    assert {mask.pointer for mask in one.masks} == pointers
    assert {mask.where for mask in one.masks} <= {"request.body"}


@pytest.mark.parametrize(
    ("sent", "state", "masked", "new_state"),
    [
        (b'{"a":1,"pin":4711,"b":"half', BodyState.TRUNCATED, b'{"a":1,"pin":0,', "truncated"),
        (b'{"a":1,"b":12', BodyState.GAP, b'{"a":1,"b":', "gap"),
        (b'{"a":"\xc3', BodyState.TRUNCATED, b"{", "truncated"),
        (b'{"a":1} trailing', BodyState.COMPLETE, b'{"a":1} ', "malformed"),
        (b'{"name":', BodyState.COMPLETE, b"{", "malformed"),
        (b'{"a":NaN}', BodyState.COMPLETE, b"{", "malformed"),
        (b"{'a':1}", BodyState.COMPLETE, b"{", "malformed"),
        (b'{"a":1,\xff"b":2}', BodyState.COMPLETE, b'{"a":1,', "undecodable"),
        (b"[1,401288\xff", BodyState.COMPLETE, b"[1,", "undecodable"),
        (b"password=x", BodyState.COMPLETE, None, "malformed"),
        ('{"a":1}'.encode("utf-16-le"), BodyState.COMPLETE, b"{", "undecodable"),
        (b"\xff\xfe{\0}\0", BodyState.COMPLETE, None, "masked"),
        (b"", BodyState.UNSEEN, None, "unseen"),
    ],
)
def test_what_cannot_be_read_is_left_out(
    sent: bytes, state: BodyState, masked: bytes | None, new_state: str
) -> None:
    one = body_record(sent, JSON, state)
    assert one.request is not None
    assert (one.request.body.data, one.request.body.state) == (masked, new_state)
    assert ("unreadable" in one.redactions) == (state is not BodyState.UNSEEN)


def test_masks_are_bounded_and_the_rest_is_counted() -> None:
    one = body_record(json.dumps([{"pin": 4711}] * 1000).encode())
    assert (len(one.masks), one.masks_left_out) == (256, 744)
    assert one.redactions == {"name:code": 1000}
    assert kept(json.dumps([{"pin": 4711}] * 1000).encode()) == json.dumps([{"pin": 0}] * 1000).encode()


def test_depth_is_no_limit_but_pointers_are_short() -> None:
    deep = b'{"a":' * 100_000 + b'{"pin":1}' + b"}" * 100_000
    one = record(request(headers=JSON, payload=body(deep)), policy=Policy(body_limit=1 << 20))
    assert one.request is not None
    assert one.request.body.data == deep.replace(b'"pin":1', b'"pin":0')
    assert one.masks == (Mask("request.body", "/a" * 32, "name:code"),)


def test_very_many_keys_are_no_trouble() -> None:
    wide = b"{" + b",".join(b'"k%d":1' % i for i in range(200_000)) + b',"pin":1}'
    one = record(request(headers=JSON, payload=body(wide)), policy=Policy(body_limit=1 << 25))
    assert one.request is not None
    assert one.request.body.data == wide[:-2] + b"0}"


def test_a_pointer_with_half_a_surrogate_can_be_packed() -> None:
    one = body_record(b'{"\\ud800": {"pin": 5}}')
    assert [mask.pointer for mask in decode_record(pack_record(one)).masks] == ["/?/pin"]


def test_a_kubernetes_secret_keeps_its_shape_only() -> None:
    sent = b'{"kind":"Secret","metadata":{"name":"db"},"data":{"url":"eA=="},"type":"Opaque"}'
    assert kept(sent) == sent.replace(b"eA==", b"redacted")
    config = sent.replace(b'"Secret"', b'"ConfigMap"')
    assert kept(config) == config


# Other bodies


@pytest.mark.parametrize(
    ("sent", "masked"),
    [
        (b"user=ada&password=x&remember=yes", b"user=ada&password=redacted&remember=yes"),
        (b"a=%C3%A9+b&c", b"a=%C3%A9+b&c"),
        (b"grant_type=authorization_code&code=abc", b"grant_type=authorization_code&code=redacted"),
        (b"error_code=7&code=abc", b"error_code=7&code=abc"),
        (b"password=&a=1", b"password=&a=1"),
        (b'{"password": "a=b&c"}', b'{"password": "redacted"}'),
    ],
)
def test_a_form_keeps_every_other_pair(sent: bytes, masked: bytes) -> None:
    assert kept(sent, FORM) == masked


def test_a_cut_form_loses_its_last_pair() -> None:
    assert kept(b"a=1&password=x&b=40128888", FORM, BodyState.TRUNCATED) == b"a=1&password=redacted&"


def test_a_multipart_form_keeps_fields_and_drops_files() -> None:
    field = b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    file = (
        b'--edge\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n'
        b"Content-Type: text/plain\r\n\r\n%s\r\n"
    )
    sent = field % (b"note", b"fine") + field % (b"pin", b"4711") + file % (b"ada.txt", b"words")
    masked = field % (b"note", b"fine") + field % (b"pin", b"0000") + file % (b"redacted", b"redacted")
    one = body_record(sent + b"--edge--\r\n", PARTS)
    assert one.request is not None
    assert one.request.body.data == masked + b"--edge--\r\n"
    assert _masks(one) == {("request.body", "/pin", "name:code"), ("request.body", "/f", "file")}
    assert kept(sent[:-3], PARTS, BodyState.TRUNCATED) == masked[: masked.rindex(b"--edge")] + b"--edge"


@pytest.mark.parametrize("end", [b"--edge--", b"--edge--\r\n"])
def test_a_multipart_form_without_secrets_is_untouched(end: bytes) -> None:
    head = b'--edge\r\nContent-Disposition: form-data; name="note"\r\nContent-Type: text/plain\r\n\r\n'
    assert kept(head + b"fine\r\n" + end, PARTS) == head + b"fine\r\n" + end


def test_an_event_stream_is_masked_line_by_line() -> None:
    sent = b'event: add\ndata: {"pin": 5, "x": 1}\r\n\r\ndata: hello\n\ndata: my pin\ndata: is x\n\ndata: ha'
    masked = sent.replace(b"5", b"0").replace(b"my pin", b"redacted").replace(b"is x", b"redacted")[:-8]
    assert kept(sent, EVENTS, BodyState.TRUNCATED) == masked


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        (b"ok", True),
        ("größer\n".encode(), True),
        (b"words " * 600, True),
        (b"words " * 700, False),
        (b"the password is x", False),
        (b"api key x", False),
        (b"see https://u:p@h/", False),
        (b"\xff", False),
    ],
)
def test_text_is_kept_only_if_short_and_unsuspicious(sent: bytes, is_kept: bool) -> None:
    for headers in (TEXT, ((b"content-type", b"application/xml"),), ()):
        assert kept(sent, headers) == (sent if is_kept else None)


def test_text_that_was_cut_is_not_kept() -> None:
    assert kept(b"ok", TEXT, BodyState.TRUNCATED) is None
    assert kept(b"ok\xff", TEXT) is None


def test_what_is_encoded_too_often_to_look_into_is_masked() -> None:
    value: object = {"pin": 5, "note": "words"}
    for _ in range(MAX_NESTING):
        value = json.dumps([value])
    assert b"words" in (kept(json.dumps([value]).encode()) or b"")
    assert b"words" not in (kept(json.dumps([json.dumps([value])]).encode()) or b"")
    assert _target(b"/a?x=%2525252520")[3] == b"x=redactedxxxxxxxxxxxxxxxxxxxxxxxx"


@pytest.mark.parametrize("kind", [b"image/png", b"application/protobuf", b"application/grpc", b"video/mp4"])
def test_a_binary_body_keeps_size_and_type(kind: bytes) -> None:
    one = body_record(b"\0\1\2", ((b"content-type", kind),))
    assert one.request is not None
    assert one.request.body == WireBody(3, None, "masked")
    assert one.request.content_type == kind.decode()
    assert _masks(one) == {("request.body", "", "binary")}


@pytest.mark.parametrize(
    "kind",
    [
        *(
            b"application/json; charset=utf-8",
            b"text/json",
            b"application/problem+json",
            b"application/x-ndjson",
        ),
        *(
            b"application/vnd.api+json",
            b"application/json-seq",
            b"application/geo+json-seq",
            b"APPLICATION/JSON",
        ),
    ],
)
def test_json_goes_by_many_types(kind: bytes) -> None:
    assert kept(b'{"pin": 5, "x": 1}', ((b"content-type", kind),)) == b'{"pin": 0, "x": 1}'


def test_a_coded_body_is_kept_decoded() -> None:
    sent = gzip.compress(b'{"pin": 5, "x": 1}')
    one = body_record(sent, (*JSON, (b"content-encoding", b"gzip")))
    assert one.request is not None
    assert one.request.body == WireBody(len(sent), b'{"pin": 0, "x": 1}', "complete")


def test_heads_only_ships_no_byte_of_a_body_but_its_size() -> None:
    asked = request(headers=JSON, payload=body(b'{"a": 1}'))
    one = record(asked, response(), policy=Policy(bodies=False))
    assert one.request is not None
    assert one.response is not None
    assert one.request.body == WireBody(8, None, "unseen")
    assert one.response.body == WireBody(0, b"", "complete")


def test_a_body_beyond_the_limit_is_cut_there() -> None:
    asked = request(headers=JSON, payload=body(b"[1, 22, 333]"))
    one = record(asked, policy=Policy(body_limit=6))
    assert one.request is not None
    assert one.request.body == WireBody(12, b"[1, ", "truncated")


def test_sizes_beyond_64_bits_are_bounded() -> None:
    one = record(request(headers=JSON, payload=Body(10**30, b"1 ", BodyState.TRUNCATED)))
    assert one.request is not None
    assert one.request.body.size == 2**63 - 1
