"""Secrets recognised by words alone: sentences and command lines that are masked, and ones that are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import sentences
from tests.agent.redact.redaction import MASKER, kept

ORDINARY = (
    "password is required",
    "Password is required!",
    "your password is too short",
    "password is incorrect",
    "The password is incorrect, 2 attempts left.",
    "your password is 8 characters long",
    "the password was 12 or more letters",
    "Your password was changed to a new one",
    "the password has been reset to nothing",
    "password must have 12 characters",
    "the password is case-sensitive (see RFC 8265)",
    "the password is sha256-hashed",
    "The token is base64-encoded",
    "the token is OAuth2",
    "Your API key is AND stays ReadOnly",
    "session 4711 started",
    "the session is 15m old",
    "Update jwt to 1.0.0",
    "Set the session id to *buf*",
    "pass 'bulk_ops' to it, pass --docdir=/usr to it, pass V=1",
    'secrets "db-1" not found',
    'secret "db-credentials" created',
    "Unexpected token 'x' in JSON at position 0",
    "use the --password option, or --token and --api-key.",
    "session -> idle -> closed",
    'the password "password" is not a field',
    "curl is used, -u means a user",
    "mysql --protocol=tcp -P 3306 -p shop",
    "docker run -u 1000:1000 image",
    "connect to a/b and write to c@example.org",
    "https://example.org:8080/people/ada@example.org",
    "see https://example.org/a:b@c",
)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_sentence_stays(text: str) -> None:
    assert MASKER.text(text) == (text, None)
    document = json.dumps({"password": None, "message": text}, ensure_ascii=False).encode()
    assert kept(document) == document


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Password is hunter2", "Password is redacted"),
        ("the password is 'swordfish', not", "the password is 'redactedxxxxxxxxxxxxxxxxxxxxxxxx', not"),
        ("the pin is 471100.", "the pin is 000000."),
        ("curl -u ada:swordfish https://h/", "curl -u ada:redactedxxxxxxxxxxxxxxxxxxxxxxxx https://h/"),
        ("mysql -u root -pswordfish shop", "mysql -u root -predactedxxxxxxxxxxxxxxxxxxxxxxxx shop"),
        ("x --token a1b2c3 --verbose", "x --token redacted --verbose"),
        ("sqlplus scott/tiger@db", "sqlplus scott/redacted@db"),
        ("a: &x\n  b\n", "a: &x\n  b\n"),
        ("pin: &x\n  b\nuser: ada", "pin: redacted\nuser: ada"),
        ("pin: !!str\nuser: ada", "pin: redacted\nuser: ada"),
    ],
)
def test_only_the_secret_is_replaced(text: str, masked: str) -> None:
    assert MASKER.text(text)[0] == masked


WORDS = (
    "password",
    "api",
    "key",
    "pass",
    "phrase",
    "is",
    "was",
    "set",
    "to",
    "a1b2",
    "--token",
    "--",
    "→",
    "->",
)
MARKS = (
    '"',
    "'",
    " ",
    " ",
    ":",
    "=",
    ".",
    "\\",
    "!x ",
    "&x ",
    "|",
    "\n",
    "\\n",
    " ",
    "curl -u a:",
    "mysql -p",
)


@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=30).map("".join))
def test_what_is_found_is_within_the_text(text: str) -> None:
    found = sentences.secrets(text, MASKER.names)
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert sentences.possible(text, MASKER.names) or not found


PIECES = (
    "password ",
    "password is ",
    'password "',
    "key ",
    "--token ",
    "mysql ",
    "curl -u a",
    "conn a/",
    "pin: &x\n ",
    "pin: \\n",
)


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_is_read_in_one_pass(piece: str) -> None:
    """Quadratic time would take hours here, and exceed the tests' time limit."""
    text = piece * ((1 << 20) // len(piece)) + "@"
    assert MASKER.text(text) is not None
