from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.exchange_models import Message
from server.api.models import Text
from server.services.freshness import AgentState, Freshness
from server.ui import laid_out, show

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_pages_head_says_who_captures_how_late_and_who_is_silent() -> None:
    def said(*agents: AgentState) -> list[tuple[str, bool]]:
        return [(one.text, one.bad) for one in show.freshness(Freshness(agents))]

    ok, stopped = AgentState("a", "everything", 0.25), AgentState("b", "nothing", None)
    assert said() == said(stopped) == [("no agent captures", False)]
    assert said(ok, stopped) == [("1 agent capturing", False), ("lag 250 ms", False)]
    assert said(ok, AgentState("b", "unknown", None)) == [
        ("2 agents capturing", False),
        ("lag 250 ms", False),
    ]
    assert said(AgentState("b", "heads", 1.5), AgentState("c", "sampled", 3.0)) == [
        ("2 agents capturing", False),
        ("lag 3.0 s", False),
        ("1 agent without bodies", True),
        ("1 agent sampling connections", True),
    ]
    assert said(ok, AgentState("b", "silent", 75.0)) == [
        ("1 agent capturing", False),
        ("lag 75 s", True),
        ("1 agent silent", True),
    ]


def shown(text: str) -> str:
    message = Message(
        headers=[],
        trailers=[],
        content_type="application/json",
        size=None,
        events=None,
        body=Text(text=text),
        complete=True,
        state="complete",
    )
    found = show.body(message)
    assert found is not None
    return found


@given(JSON)
def test_laid_out_json_is_the_same_json(value: Any) -> None:
    assert json.loads(shown(json.dumps(value))) == value


@given(st.text(alphabet='{}[],:"\\ \n\tab1é') | st.text())
def test_laying_out_changes_nothing_but_white_space(text: str) -> None:
    laid_out = shown("{" + text)
    assert "".join(laid_out.split()) == "".join(("{" + text).split())


def test_json_has_a_line_for_each_member() -> None:
    assert shown('{"a":[1,{}],"b":[]}') == '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}'


def test_tokens_stay_as_they_were_sent() -> None:
    assert (
        shown('{"a":1.0e5,"a":01,"\\u0041":"cut sh') == '{\n  "a": 1.0e5,\n  "a": 01,\n  "\\u0041": "cut sh'
    )


def test_deep_and_large_json_is_laid_out_in_bounded_size() -> None:
    assert len(shown("[" * 50_000)) < 50_000 * (2 * laid_out.MAX_DEPTH + 3)
    large = "[" + "1," * show.MAX_LAID_OUT
    assert shown(large) is large


@given(st.text(st.characters(codec=None)))
def test_visible_text_can_always_be_sent(text: str) -> None:
    seen = show.visible(text)
    assert isinstance(seen, str)
    seen.encode()
    assert not show.HIDDEN.search(seen)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2**62, "4.61 EB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert show.size(count) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 ms"),
        (0.3456, "0.35 ms"),
        (9.96, "10 ms"),
        (12.4, "12 ms"),
        (1234, "1.2 s"),
        (65_000, "65 s"),
        (None, None),
    ],
)
def test_durations(milliseconds: float | None, said: str | None) -> None:
    assert show.duration(milliseconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-60, "in the future"),
        (-1, "just now"),
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (90_000, "1 d ago"),
    ],
)
def test_ages(seconds: int, said: str) -> None:
    assert show.ago("2026-11-23T12:00:00.000000000Z", 1_795_435_200 + seconds) == said


def test_the_parts_of_a_bar_make_the_whole_in_order_of_gravity() -> None:
    parts = show.shares({"shadow": 1, "conforming": 3, "zombie": 0})
    assert [(part.name, part.start, part.width) for part in parts] == [
        ("conforming", 0, 75),
        ("shadow", 75, 25),
    ]
    assert show.shares({}) == []


def test_statuses_are_counted_by_class() -> None:
    found = show.by_class({"200": 2, "204": 1, "404": 1, "999": 1, "none": 1})
    assert found == {"2xx": 3, "3xx": 0, "4xx": 1, "5xx": 0, "other": 2}
