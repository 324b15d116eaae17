"""Properties of redaction for any input: it never raises, keeps what it may, and its fast paths are sound."""

from __future__ import annotations

import json as library
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from agent import wire
from agent.http.messages import Body, BodyState, Completeness, Exchange, Request, Response
from agent.redact import forms, json, json_tokens, json_walk, multipart, values
from agent.redact.mask_log import MaskLog
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.urls import mask_target, mask_url
from tests.agent.redact.redaction import FORM, JSON, KEY, MASKER, PROVENANCE, body_record, to_record

SECRETS = (
    "hunter2",
    "4012888888881881",
    "4012 8888 8888 1881",
    "AKIAIOSFODNN7CANARY2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abc",
    "https://u:p@h/x",
    "Bearer abc123def456",
    "Basic dTpw",
    "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCY3xaMpLeKeY",
    "password=hunter2",
    "a%3D1%26token%3Dx",
    '{"pin": 5}',
    "/token/a1",
    "https://h/reset/0123456789abcdef0",
    "Cookie: a=1; b=2",
    '[["pin", "a1"]]',
    '{"op": "add", "path": "/pin", "value": "a1"}',
    "6f1f5e3e-89d5-4b1e-8a3e-0123456789ab",
    "Secret",
)
NAMES = (
    *("password", "passWord", "PASSWORD", "pass_word", "p4ssword", "pass2word", "apiKey", "api-key", "x"),
    *("pin", "PIN", "Pin", "userPin", "shipping", "sid", "inside", "token", "tokens", "max_tokens"),
    *("field", "path", "from", "newValue", "op", "add", "reset", "psw", "dsn"),
    *("name", "value", "key", "data", "kind", "session_id", "card", "cardNumber", "secretName"),
)

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from((*SECRETS, *NAMES)),
    st.lists(
        st.sampled_from((*SECRETS, *NAMES, " ", "=", ":", "&", "%", '"', "\\", "/", "\n")), max_size=6
    ).map("".join),
)
names = st.one_of(texts, st.sampled_from(NAMES))
documents = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
written = st.tuples(documents, st.booleans(), st.sampled_from((None, 1))).map(
    lambda parts: library.dumps(parts[0], ensure_ascii=parts[1], indent=parts[2])
)
pieces = st.lists(
    st.one_of(
        st.sampled_from(
            (*'{}[],:"\\ \n', "\\u0070", '"password"', "null", "1.5", "1e", "-", "\ufeff", "\x1e")
        ),
        st.sampled_from((*SECRETS, *NAMES)).map(library.dumps),
        st.text(max_size=3),
    ),
    max_size=25,
).map("".join)
hostile = st.one_of(
    st.binary(max_size=200),
    pieces.map(lambda text: text.encode("utf-8", "surrogatepass")),
    written.map(str.encode),
    st.lists(
        st.sampled_from(
            b"password=|&|=|%|%70|%25|+|;|--edge\r\n|--edge--|\r\n\r\n|Content-Disposition: form-data; name=x"
            b'|; filename=a|data: |/|?|#|@|://|http:|token/|\xff|\0|, |Basic |Bearer |eyJ|,URI=|"'.split(b"|")
        ),
        max_size=20,
    ).map(b"".join),
)
states = st.sampled_from(BodyState)
header_names = st.one_of(
    st.sampled_from(
        b"host authorization cookie set-cookie location referer link content-type content-encoding x-api-key "
        b"x-forwarded-client-cert user-agent x-test etag".split()
    ),
    st.binary(min_size=1, max_size=80),
)
types = st.sampled_from(
    (
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=edge",
        b"text/event-stream",
        b"text/plain",
        b"text/html; charset=x",
        b"image/png",
        b"",
        b';;"',
        b"\xff/\xff",
        b"multipart/form-data",
        b"application/problem+json",
        b"multipart/form-data; boundary*=x'y'%ff",
    )
)
headers = st.lists(
    st.one_of(st.tuples(header_names, hostile), st.tuples(st.just(b"content-type"), types)), max_size=5
).map(tuple)
bodies = st.builds(Body, st.one_of(st.none(), st.integers(0, 10**30)), hostile, states)
times = st.integers(0, 2**62)
requests = st.builds(
    Request, st.binary(max_size=20), hostile, st.just(b"1.1"), headers, headers, bodies, times, st.none()
)
responses = st.builds(
    Response, st.integers(100, 999), st.just(b"1.1"), headers, headers, bodies, times, st.none() | times
)
exchanges = st.builds(
    Exchange,
    st.integers(0, 2**31),
    st.none() | requests,
    st.none() | responses,
    st.sampled_from(Completeness),
    st.none() | st.binary(max_size=20),
    st.none() | st.text(max_size=20),
)


def _walked(text: str, gated: bool) -> tuple[str, list[tuple[str, str]]]:
    """The text masked with the fast paths, or by the slow path only."""
    notes: list[tuple[str, str]] = []

    def note(pointer: str, rule: str) -> None:
        notes.append((pointer, rule))

    if gated:
        return json.mask(text, MASKER, note).text, notes
    everything = values.Suspicion(("",), 0)
    lexed = text[: json_tokens.lexed(text)]
    return json_walk.Walk(lexed, MASKER, note, everything, 0).run(), notes


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(exchanges)
def test_any_exchange_becomes_a_record_that_can_be_packed_and_read(one: Exchange) -> None:
    record = to_record(one, PROVENANCE, Policy(aggregation_header="x-test"), KEY)
    assert wire.decode_record(wire.pack_record(record)) == record
    assert len(record.masks) <= 256


@settings(max_examples=300)
@given(st.one_of(written, pieces))
@example('{"p": "/token/a1"}')
@example('{"p": "http://h/reset/0123456789abcdef0"}')
@example('{"op": "add", "path": "/pin", "value": "a1"}')
@example('[["pin", "a1"]]')
@example('{"/TOKEN/0": null}')
@example('{"a\\npassword": "x"}')
@example('{"pass\\u0077ord": "x"}')
@example('{"n": [1, {"name": "x", "value": 4012888888881881}]}')
def test_the_shortcuts_find_what_the_slow_path_finds(text: str) -> None:
    assert _walked(text, gated=True) == _walked(text, gated=False)


@settings(max_examples=300)
@given(documents, st.booleans())
def test_masking_keeps_json_valid_and_each_type(document: Any, ascii_only: bool) -> None:
    text = library.dumps(document, ensure_ascii=ascii_only)
    masked, notes = _walked(text, gated=True)
    after = library.loads(masked)
    _assert_same_types(document, after)
    assert notes or masked == text


def _assert_same_types(before: Any, after: Any) -> None:
    assert type(before) is type(after)
    if isinstance(before, dict) and len(before) == len(after):
        for one, other in zip(before.values(), after.values(), strict=True):
            _assert_same_types(one, other)
    elif isinstance(before, list):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            _assert_same_types(one, other)


def _within(document: Any, leaf: Any, path: list[int | str]) -> Any:
    """The leaf within containers and JSON strings."""
    for step in path:
        if step == "text":
            leaf = library.dumps(leaf)
        elif isinstance(step, str):
            leaf = {"a": document, step: leaf, "z": document}
        else:
            leaf = [document] * step + [leaf]
    return leaf


@given(
    documents,
    st.sampled_from(("password", "apiKey", "user_pin", "session-id", "X-Auth-Token", "cvv")),
    st.lists(st.one_of(st.just("text"), st.integers(0, 3), names), max_size=6),
    st.booleans(),
)
def test_a_named_secret_is_found_wherever_it_is(
    document: Any, name: str, path: list[int | str], ascii_only: bool
) -> None:
    secret = "Quökka Bassoon"
    whole = _within(document, {name: secret}, path)
    masked = _walked(library.dumps(whole, ensure_ascii=ascii_only), gated=True)[0]
    assert "Bassoon" not in masked


@given(
    st.dictionaries(
        st.text("abcdef ", max_size=8), st.integers(0, 999) | st.text("ghklmno \n\té", max_size=9)
    )
)
def test_a_document_with_nothing_to_mask_is_untouched(document: dict[str, Any]) -> None:
    data = library.dumps(document, indent=1).encode()
    asked = body_record(data, JSON).request
    assert asked is not None
    assert asked.body == wire.Body(len(data), data, "complete")


@given(documents, st.data())
def test_a_cut_document_is_masked_like_the_whole_one_up_to_the_cut(
    document: Any, data: st.DataObject
) -> None:
    text = library.dumps(document)
    cut = data.draw(st.integers(0, len(text)))
    # A key without its value is one text to mask_text, which masks more.
    assume(text[cut : cut + 1] != ":")
    # So is a list without its third value, or a part of it: it may have been a pair.
    assume(text[cut : cut + 1] != "," and not text[:cut].rstrip(" nultrefas").endswith(","))
    whole = _walked(text, gated=True)[1]
    notes: list[tuple[str, str]] = []
    walked = json.mask(text[:cut], MASKER, lambda pointer, rule: notes.append((pointer, rule)), cut=True)
    assert {rule for _, rule in notes} <= {rule for _, rule in whole}
    assert walked.left_out <= cut


@given(texts, texts, texts)
def test_what_has_a_shape_is_suspicious_in_any_surroundings(before: str, secret: str, after: str) -> None:
    if list(values.secrets(secret)):
        suspicion = values.suspicion((before + secret + after).encode("utf-8", "surrogatepass"))
        assert suspicion is not None
        assert suspicion.of(secret)


@given(names, texts, texts)
def test_a_secret_name_is_possible_in_any_surroundings(name: str, before: str, after: str) -> None:
    text = library.dumps({before: name, after: [name]})
    for masker in (Names(), Names({"Grüße", "field7"})):
        if masker.rule(name) is not None and text.count("\\") == text.count('\\"'):
            assert masker.possible(text.encode())


@given(hostile, st.booleans())
def test_any_query_is_masked_and_unmasked_pairs_stay(raw: bytes, cut: bool) -> None:
    notes: list[str] = []
    masked = forms.mask_pairs(raw, MASKER, lambda name, rule: notes.append(rule), cut=cut)
    assert masked.data.count(b"&") <= raw.count(b"&")
    if not notes and not cut:
        assert masked.data == raw


@given(hostile)
def test_any_target_and_url_is_masked_or_stays(raw: bytes) -> None:
    log = MaskLog()
    target = mask_target(raw, MASKER, log)
    if not log.masks and target.scheme is None:
        assert target.path + (b"" if target.query is None else b"?" + target.query) == raw
    log = MaskLog()
    masked = mask_url(raw, MASKER, log, "header", "location")
    assert log.masks or masked == raw


@given(hostile)
def test_any_multipart_body_is_masked_or_stays(raw: bytes) -> None:
    notes: list[str] = []
    data = b"--edge\r\nContent-Disposition: form-data; name=a\r\n\r\n" + raw + b"\r\n--edge--\r\n"
    masked = multipart.mask(data, b"edge", MASKER, lambda name, rule: notes.append(rule))
    if not notes and not masked.left_out:
        assert masked.data == data


@given(hostile, states)
def test_a_form_never_grows_beyond_its_placeholders(raw: bytes, state: BodyState) -> None:
    asked = body_record(raw, FORM, state).request
    assert asked is not None
    assert asked.body.data is None or len(asked.body.data) <= len(raw) * 5 + 256 * (raw.count(b"&") + 1)
