"""Which values look like secrets, and their placeholders."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.redact import placeholders, values
from agent.redact.prefix_regex import any_of
from tests.agent.redact.redaction import MASKER
from tests.agent.redact.test_redactor_canary_table import AWS, GITHUB, GOOGLE, JWT, PEM, RANDOM, SLACK, STRIPE

SECRET = {
    "shape:jwt": (JWT.decode(), f"see {JWT.decode()}.", f"x_{JWT.decode()}"),
    "shape:pem": (PEM.decode(), "-----BEGIN CERTIFICATE-----\nabc"),
    "shape:cloud-key": (
        *(key.decode() for key in (AWS, GITHUB, GOOGLE, SLACK, STRIPE)),
        "glpat-abcdefghijklmnopqrst",
        "sk-ant-api03-abcdefghijklmnop",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "hvs.CAESIJ1234567890abcdefghij",
        "123456789:AAabcdefghijklmnopqrstuvwxyz123456789",
    ),
    "shape:card-number": (
        *(
            "4012888888881881",
            "5555 5555 5555 4444",
            "3782-822463-10005",
            "30569309025904",
            "6011111111111117",
        ),
        "paid with 4012-8888-8888-1881.",
    ),
    "shape:user-info": ("https://ada:lovelace@example.org/", "ftp://me@host", "x postgres://u:p@ss@db/x"),
    "shape:webhook": ("https://hooks.slack.com/services/T000/B000/XXXX",),
    "shape:bearer": ("Bearer abc123def456", "authorization: bearer  AbCdEfGhIj"),
    "shape:basic": ("Basic dXNlcjpwYXNz",),
    "shape:random": (RANDOM.decode(), "q" + hashlib.md5(b"x").hexdigest().upper() + "aZb3Yc5Xd7We9Vf"),
}
HARMLESS = (
    str(uuid.UUID(int=2**127 + 12345)),
    str(uuid.UUID(int=0x4012888888881881 << 64)),
    hashlib.sha256(b"x").hexdigest(),
    hashlib.sha1(b"x").hexdigest().upper(),
    "1700000000000",
    "1700000000000000000",
    "4012888888881882",
    "0000000000000000",
    "0.4012888888881881",
    "2024-01-01T00:00:00.000000Z",
    "https://example.org/a?b=c@d",
    "someone@example.org",
    "bearer authentication is required",
    "Basic functionality",
    "sk-loading-spinner-container",
    "task-abcdefghijklmnopqrstuvwxyz",
    "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource",
    "ThisIsAVeryLongCamelCaseIdentifierWithoutAnyDigits",
    "OAuth2AuthorizationServerConfigurationV1Beta1Factory",
    "/apis/apps/v1/namespaces/default/deployments/web/scale",
    "eyebrow.shop.example",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Quiet-harbour-4711",
    "/secrets/db-password",
    "/password/{resetToken}",
    "/v1/password/reset",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/counters/reset/4711",
    "at /app/session/index.js:12:3",
    "https://example.org/invite/friends/to/the/garden",
    "https://example.org/tokenizer/4711/x",
    "token/4711",
    "https://token/4711",
)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in SECRET.items() for text in texts])
def test_a_secrets_shape_is_known(rule: str, text: str) -> None:
    assert rule in {found for _, _, found in values.secrets(text)}
    assert MASKER.text(text)[1] is not None


@pytest.mark.parametrize("text", HARMLESS)
def test_ids_hashes_times_and_words_survive(text: str) -> None:
    assert MASKER.text(text) == (text, None)


@pytest.mark.parametrize(
    ("value", "placeholder"),
    [
        (str(uuid.UUID(int=5)), "00000000-0000-0000-0000-000000000000"),
        ("ada@example.org", "redacted@redacted.invalid"),
        ("2024-05-06T07:08:09.123+02:00", "1970-01-01T00:00:00Z"),
        ("2024-05-06", "1970-01-01"),
        ("07:08:09Z", "00:00:00Z"),
        ("192.0.2.7", "0.0.0.0"),
        ("2001:db8::1", "::"),
        ("https://example.org/a", "https://redacted.invalid/"),
        ("P3DT4H", "PT0S"),
        ("4711", "0000"),
        ("-5", "0"),
        ("47.11", "0.5"),
        ("hunter2", "redacted"),
        ("hunter2-hunter2", "redacted" + "x" * 24),
        ("", ""),
    ],
)
def test_a_placeholder_keeps_format_and_length_class(value: str, placeholder: str) -> None:
    assert placeholders.of_text(value) == placeholder
    assert placeholders.of_text(placeholder) == placeholder


@pytest.mark.parametrize(
    ("literal", "placeholder"), [("4711", "0"), ("-3", "0"), ("1.5", "0.5"), ("2.0", "0.0"), ("1e400", "0.5")]
)
def test_a_numbers_placeholder_keeps_whether_it_is_whole(literal: str, placeholder: str) -> None:
    assert placeholders.of_number(literal) == placeholder
    assert type(json.loads(placeholder)) is type(json.loads(literal))


def test_placeholders_do_not_look_like_secrets() -> None:
    for length in (1, 9, 33, 129, 5000):
        assert MASKER.text(placeholders.filler(length)) == (placeholders.filler(length), None)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /a?token=abc&page=2", "GET /a?token=redacted&page=2"),
        ("login failed: password=abc", "login failed: password=redacted"),
        ('{"user": "ada", "pin": 7}', '{"user": "ada", "pin": 0}'),
        ("{'password': 'abc', 'a': 'b'}", "{'password': 'redacted', 'a': 'b'}"),
        ('password="a \\"quoted\\" word" x', 'password="redactedxxxxxxxxxxxxxxxxxxxxxxxx" x'),
        ("Authorization: Token abcdefgh", "Authorization: redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("Cookie: sid=A; b=S", "Cookie: redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("Set-Cookie:sid=A; Path=/\r\nX: y", "Set-Cookie:redactedxxxxxxxxxxxxxxxxxxxxxxxx\r\nX: y"),
        ("-H 'Cookie: a=1; b=2' -H 'X: y'", "-H 'Cookie: redacted' -H 'X: y'"),
        ("/a?cookie=abc&page=2", "/a?cookie=redacted&page=2"),
        ("/token/a1", "/token/redacted"),
        ("go to https://h/reset-password/a1, now", "go to https://h/reset-password/redacted now"),
        ("<https://h/token/a1/x?y#z>; rel=next", "<https://h/token/redacted/x?y#z>; rel=next"),
        ("https://h/reset/0123456789abcdef0", "https://h/reset/redactedxxxxxxxxxxxxxxxxxxxxxxxx"),
    ],
)
def test_only_the_secret_within_a_text_is_replaced(text: str, masked: str) -> None:
    assert MASKER.text(text)[0] == masked


@given(st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=12), st.binary(max_size=40))
@example([b"ab", b"abc", b"b|", b"("], b"xab(")
def test_a_pattern_of_words_finds_any_of_them_and_nothing_else(words: list[bytes], text: bytes) -> None:
    assert (any_of(words).search(text) is not None) == any(word in text for word in words)
