"""Event streams whose JSON is split over several events."""

from __future__ import annotations

import json

import pytest

from agent.redact import event_stream
from tests.agent.redact.redaction import MASKER

SECRET = "Trombone-Parapet-8814"
DOCUMENT = json.dumps({"a": [1, "}"], "token": SECRET, "b": {"c": "\\"}})


def test_json_split_anywhere_over_two_events_gives_no_secret_away() -> None:
    for cut in range(1, len(DOCUMENT)):
        stream = f'data: {DOCUMENT[:cut]}\n\nid: 7\ndata: {DOCUMENT[cut:]}\n\ndata: {{"a": 1}}\n\n'
        masked, rules = event_stream.mask(stream, MASKER)
        assert not [SECRET[at : at + 4] for at in range(len(SECRET) - 3) if SECRET[at : at + 4] in masked]
        assert set(rules) <= {"split", "text", "name:token"}
        assert masked.endswith('data: {"a": 1}\n\n')
        assert "id: 7" in masked


def test_json_split_into_single_characters_gives_no_secret_away() -> None:
    masked, _ = event_stream.mask("".join(f"data: {char}\n\n" for char in DOCUMENT), MASKER)
    assert not set(masked) & set(SECRET) - set("data: redacted")


@pytest.mark.parametrize(
    "stream",
    [
        "data: [DONE]\n\n",
        'data: {"a": 1}\ndata: {"b": 2}\n\n',
        'data: {"a":\ndata:  1}\n\n',
        "data: plain words\n\ndata: more of them\n\n",
        ": a comment\n\nretry: 5\n",
    ],
)
def test_what_is_whole_stays(stream: str) -> None:
    assert event_stream.mask(stream, MASKER) == (stream, [])
