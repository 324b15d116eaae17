"""Names and values within a text: what is masked, what stays, and that no text takes long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import complaints, text_pairs
from tests.agent.redact.redaction import MASKER
from tests.secret_bodies import COMMAND_LINES, COMPLAINTS, SENTENCES, TEXTS, URLS

LONG = 1 << 16  # characters


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{credentials: {pin: "x"}} y', "{credentials: {redacted}} y"),
        ('password: ["x"], y: 1', "password: [redacted], y: 1"),
        ('auth: token: "x" y', 'auth: redacted "redacted" y'),
        (
            "credentials:\n  a: x\n\n  b: y\nuser: ada",
            "credentials:\n  redactedxxxxxxxxxxxxxxxxxxxxxxxx\nuser: ada",
        ),
        ("- pin: |\n    4711\n  user: ada", "- pin: |\n    0000\n  user: ada"),
        ("password:\nuser: ada", "password:\nuser: ada"),
        ("token=abc== more words", "token=redacted more words"),
        ("session: {id} expired", "session: {redacted} expired"),
        ("pin: Invalid value: 4711: must be longer", "pin: Invalid value: redacted must be longer"),
        ("name: color, value: red", "name: color, value: red"),
        ("name: pin, value: 4711; user: ada", "name: pin, value: redacted user: ada"),
        (
            "- name: a\n  value: b\n- name: pin\n  value: c",
            "- name: a\n  value: b\n- name: pin\n  value: redacted",
        ),
        (
            "- value: b\n  name: a\n- value: c\n  name: pin",
            "- value: b\n  name: a\n- value: redacted\n  name: pin",
        ),
        (
            "message: a, value: b, name: pin, field: pin",
            "message: redacted value: redacted name: pin, field: pin",
        ),
        ("{name: pin}, {value: 5}", "{name: pin}, {value: 5}"),
        ("path=/login/token value=12 reason=gone", "path=/login/token value=12 reason=gone"),
        ("type=session msg=started id=5 source=auth", "type=session msg=started id=5 source=auth"),
    ],
)
def test_only_what_stands_behind_a_secrets_name_is_replaced(text: str, masked: str) -> None:
    assert MASKER.text(text)[0] == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Duplicate entry 'x' for key 'users.token'", "Duplicate entry 'redacted' for key 'users.token'"),
        ("Invalid value 4711 for pin", "Invalid value 0000 for pin"),
        ("Invalid password", "Invalid password"),
        ('"password" must be a valid text', '"password" must be a valid text'),
        ("The value 'x' is not valid for Colour.", "The value 'x' is not valid for Colour."),
        ("the password isn't valid, it's old", "the password isn't valid, it's old"),
    ],
)
def test_a_complaint_about_a_secret_keeps_its_words_and_loses_what_it_quotes(text: str, masked: str) -> None:
    assert MASKER.text(text)[0] == masked


@pytest.mark.parametrize(
    "case",
    [*TEXTS.values(), *COMPLAINTS.values(), *SENTENCES.values(), *COMMAND_LINES.values(), *URLS.values()],
)
def test_no_secret_is_left_in_a_text_that_names_it(case: Callable[[str], object]) -> None:
    document = case("Trombone-Parapet-8814")
    assert isinstance(document, dict)
    assert "Trombone" in document["text"]
    assert "Trombone" not in MASKER.text(document["text"])[0]


MARKS = (
    *("pin", "name", "value", "auth", "a", "x1", "message", "from", "invalid value ", "|", " ", ",", "- "),
    *(": ", "=", " => ", "\n", "\n  ", "{", "}", "[", "]", '"', "'", "`", "\\"),
)
marks = st.lists(st.sampled_from(MARKS), max_size=30).map("".join)


@given(marks)
def test_what_is_found_is_within_the_text(text: str) -> None:
    spans = [*text_pairs.secrets(text, MASKER.names, MASKER.keys), *complaints.secrets(text, MASKER.names)]
    assert all(0 <= start <= end <= len(text) for start, end, _ in spans)


@given(marks, marks)
def test_a_name_around_another_hides_no_more_than_the_inner_one_alone(before: str, inner: str) -> None:
    text = f'{before} pin: "Trombone" {inner}'
    assert "Trombone" not in MASKER.text(f"{text}\n")[0] or "Trombone" not in text


PIECES = (
    *("auth: {", "value=[ ", "name=[ ", "name=", "value=x name=pin ", "from=x ", "name=pin value=[ "),
    *("auth: token: ", "password=", '\\"', "password:\n ", "password:\n  x\n", "auth: {'", 'auth: {"\\"'),
    *("pin: (", "invalid value 1 ", "' "),
)


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_is_read_in_one_pass(piece: str) -> None:
    """Quadratic time would take hours here, and exceed the tests' time limit."""
    text = piece * (16 * LONG // len(piece)) + " name=password"
    assert text_pairs.secrets(text, MASKER.names, MASKER.keys) is not None
    assert list(complaints.secrets(text, MASKER.names)) is not None
